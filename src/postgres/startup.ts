// Starts our server and waits until it takes connections.

import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import type { Intent } from './config-files.ts'
import type { Context } from './context.ts'
import { raisedToPrimary } from './controlled-minima.ts'
import type { Lifecycle } from './lifecycle.ts'
import { ping } from './ping.ts'
import { Postmaster } from './postmaster.ts'
import { removeSocketLocks } from './socket-lock.ts'

const POLL_MS = 20
/** A start that lasts needs no quick answer any more. */
const SLOW_POLL_MS = 100
const SLOW_AFTER_MS = 2000
const PING_MS = 1000
const FILES_MS = 30_000
const LOG_MS = 2000
/** Only copies for a later clone: a start does not wait for them longer. */
const COPIES_MS = 2000
const LOG_TAIL_BYTES = 4096

/**
 * Starts a server of this intent and waits until it takes connections. What an older server left behind is killed
 * first. False when the server ends or `signal` aborts; an aborted start goes on by itself.
 */
export async function startServer(
  context: Context,
  lifecycle: Lifecycle,
  intent: Intent,
  signal: AbortSignal,
): Promise<boolean> {
  const by = Deadline.in(context.clock, FILES_MS)
  const look = await lifecycle.look(by)
  if (look.process === 'running' || look.process === 'starting') return waitReady(context, lifecycle, signal)
  // A mount point without its mount would get our files, and be taken for somebody's data from then on.
  if (look.dataDirectory === 'unknown')
    throw new HaError('E_STORAGE', look.trouble ?? 'the data directory does not answer', { retryable: true })
  if (!(await lifecycle.endFamily())) return false
  await removeLeftOverLocks(context, lifecycle, by)
  const binaries = await context.binaries(by)
  await context.writePassfile(by)
  await context.writeFiles(intent, by)
  await context.files.writeSignals(intent, binaries.majorVersion, by)
  const raised = intent.role === 'replica' ? await raisedToPrimary(context, lifecycle, by) : {}
  if (signal.aborted) return false
  const { serviceFile } = context
  context.readsServiceFile = serviceFile !== undefined
  lifecycle.take(
    Postmaster.launch({
      postgres: binaries.path('postgres'),
      dataDir: context.config.postgres.dataDir,
      configFile: context.files.mainFile,
      parameters: { ...context.commandLine(), ...raised },
      logFile: context.logFile,
      spareLogFile: context.spareLogFile,
      serviceFile,
    }),
    'starting',
  )
  const isReady = await waitReady(context, lifecycle, signal)
  // Only at a reload does PostgreSQL notice that the files want another value than it was started with.
  if (isReady && Object.keys(raised).length > 0) lifecycle.reload()
  if (isReady) {
    await context.files
      .keepCopies(Deadline.in(context.clock, COPIES_MS))
      .catch((error: unknown) => context.log.warning(messageOf(error)))
  }
  return isReady
}

/** The last lines of the server's own log that say why it ended. */
export async function lastWords(context: Context): Promise<string> {
  const by = Deadline.in(context.clock, LOG_MS)
  const tail = await context.data.tail(context.logFile, LOG_TAIL_BYTES, by).catch(() => '')
  const lines = tail.trim().split('\n')
  const telling = lines.filter(line => /FATAL|PANIC|could not|error/i.test(line)).slice(-2)
  return telling.length === 0 ? `see ${context.logFile}` : telling.join(' / ')
}

/**
 * After a reboot the pids in the lock files may belong to anybody, and PostgreSQL would refuse to start. They stay while
 * the process may be a server of this directory: they are PostgreSQL's own lock.
 */
async function removeLeftOverLocks(context: Context, lifecycle: Lifecycle, by: Deadline): Promise<void> {
  const { postmaster } = (await context.data.look(by)) ?? {}
  if (postmaster !== undefined) {
    if (!(await Postmaster.isForeign(postmaster, lifecycle.realPath))) return
    await context.data.remove(['postmaster.pid'], by)
  }
  const { dataDir, port } = context.config.postgres
  await removeSocketLocks(dataDir, port, context.socketDirectories(), by)
}

async function waitReady(context: Context, lifecycle: Lifecycle, signal: AbortSignal): Promise<boolean> {
  const { clock, config } = context
  const startedMs = clock.monotonicMs()
  while (!signal.aborted) {
    if (lifecycle.phase === 'stopping') return false
    if (!(await lifecycle.isAlive())) {
      context.log.error(`PostgreSQL did not start: ${await lastWords(context)}`)
      return false
    }
    const user = config.postgres.superuser.username
    if ((await ping(context.door(), user, Deadline.in(clock, PING_MS))) === 'accepting') {
      lifecycle.noteReady()
      return true
    }
    const isSlow = clock.monotonicMs() - startedMs > SLOW_AFTER_MS
    await clock.sleep(isSlow ? SLOW_POLL_MS : POLL_MS, signal).catch(() => {})
  }
  return false
}
