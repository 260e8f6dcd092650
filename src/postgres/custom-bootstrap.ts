// A new cluster from somebody's backup: a program of the operator's fills the data directory, PostgreSQL recovers up to where
// it should, and only then anybody may connect. Until that its socket lies in a directory that only we can enter.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BootstrapMethod } from '../config/agent/types.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { withConnection } from './connection.ts'
import type { Context } from './context.ts'
import { raisedToPrimary } from './controlled-minima.ts'
import type { Lifecycle } from './lifecycle.ts'
import { fillDataDirectory } from './method-program.ts'
import { type PingAnswer, ping } from './ping.ts'
import { Postmaster } from './postmaster.ts'
import { createRoles } from './roles.ts'
import { stopServer } from './shutdown.ts'
import { lastWords } from './startup.ts'

const FILES_MS = 30_000
const STOP_MS = 600_000
const ASK_MS = 2_000
const POLL_MS = 200
/** The path of a socket has 107 bytes at most. */
const TEMPORARY_MAX = 70
const SAY_AGAIN_MS = 60_000

/** Fills the empty data directory with the configured program. Rejects with HaError unless it leaves a cluster. */
export async function runBootstrapMethod(
  context: Context,
  method: BootstrapMethod,
  signal: AbortSignal,
): Promise<void> {
  const { config } = context
  const ours = [`--scope=${config.scope}`, `--datadir=${config.postgres.dataDir}`]
  await fillDataDirectory(
    context,
    {
      command: method.command,
      args: method.noParams ? [] : [...ours, ...method.options.map(([key, value]) => `--${key}=${value}`)],
      failed: why => new HaError('E_BOOTSTRAP', `bootstrap method ${method.name} failed: ${why}`),
    },
    signal,
  )
}

/**
 * Runs the restored server where nobody else reaches it until it has left recovery, gives its roles our passwords, and
 * stops it. Rejects with HaError when it ends before.
 */
export async function recoverPrivately(
  context: Context,
  lifecycle: Lifecycle,
  method: BootstrapMethod,
  signal: AbortSignal,
): Promise<void> {
  const { clock, config, log } = context
  const room = await mkdtemp(join(tmpdir().length > TEMPORARY_MAX ? '/tmp' : tmpdir(), 'pgherd-'))
  const door = { path: join(room, `.s.PGSQL.${config.postgres.port}`) }
  try {
    const hbaFile = join(room, 'pg_hba.conf')
    await writeFile(hbaFile, 'local all all trust\n', { mode: 0o600 })
    await launch(context, lifecycle, method, { room, hbaFile })
    log.info(`recovering what ${method.name} restored; until it is done only ${room} leads to the server`)
    await waitPromoted(context, lifecycle, door, signal)
    await createRoles(context, Deadline.in(clock, FILES_MS), { ...context.local(), door })
    const stop = { mode: 'fast', checkpointFirst: false, by: Deadline.in(clock, STOP_MS) } as const
    const { stopped } = await stopServer(context, lifecycle, stop, undefined)
    if (!stopped) throw new HaError('E_BOOTSTRAP', 'the recovered server does not stop')
  } finally {
    await rm(room, { recursive: true, force: true })
  }
}

async function launch(
  context: Context,
  lifecycle: Lifecycle,
  { recovery, keepsRecovery }: BootstrapMethod,
  { room, hbaFile }: { readonly room: string; readonly hbaFile: string },
): Promise<void> {
  const by = Deadline.in(context.clock, FILES_MS)
  const { majorVersion, path } = await context.binaries(by).then(binaries => ({
    majorVersion: binaries.majorVersion,
    path: binaries.path('postgres'),
  }))
  const intent = { role: 'recovery', settings: recovery, keepsExisting: keepsRecovery } as const
  await context.writeFiles(intent, by)
  await context.files.writeSignals(intent, majorVersion, by)
  const raised = await raisedToPrimary(context, lifecycle, by)
  // Nobody has to see what is not recovered yet, and a server that nobody sees needs no resources of its primary's.
  const isPromoted = recovery['recovery_target_action'] === 'promote'
  lifecycle.take(
    Postmaster.launch({
      postgres: path,
      dataDir: context.config.postgres.dataDir,
      configFile: context.files.mainFile,
      parameters: {
        ...context.commandLine(),
        ...raised,
        ...(isPromoted ? { hot_standby: 'off' } : {}),
        listen_addresses: '',
        unix_socket_directories: room,
        hba_file: hbaFile,
      },
      logFile: context.logFile,
      spareLogFile: context.spareLogFile,
    }),
    'starting',
  )
}

async function waitPromoted(
  context: Context,
  lifecycle: Lifecycle,
  door: { readonly path: string },
  signal: AbortSignal,
): Promise<void> {
  const { clock, config, log } = context
  let saidAtMs = clock.monotonicMs()
  for (;;) {
    signal.throwIfAborted()
    if (!(await lifecycle.isAlive()))
      throw new HaError(
        'E_BOOTSTRAP',
        `the restored server ended during its recovery: ${await lastWords(context)}`,
      )
    const answer = await ping(door, config.postgres.superuser.username, Deadline.in(clock, ASK_MS))
    if (answer === 'accepting' && (await hasLeftRecovery(context, door))) return
    if (clock.monotonicMs() - saidAtMs > SAY_AGAIN_MS) {
      saidAtMs = clock.monotonicMs()
      log.info(`the restored server is still recovering: ${wordOf(answer, door.path)}`)
    }
    await clock.sleep(POLL_MS, signal)
  }
}

async function hasLeftRecovery(context: Context, door: { readonly path: string }): Promise<boolean> {
  const by = Deadline.in(context.clock, ASK_MS)
  const [row] = await withConnection({ ...context.local(), door }, by, connection =>
    connection.query('SELECT pg_is_in_recovery() AS standby', by),
  )
  return row?.['standby'] === 'f'
}

/** A target with the action pause waits for somebody. */
function wordOf(answer: PingAnswer, socket: string): string {
  return answer === 'accepting'
    ? `it takes connections at ${socket} and may wait for pg_wal_replay_resume()`
    : 'it takes no connections yet'
}
