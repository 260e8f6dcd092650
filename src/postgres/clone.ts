// Copies a running member's data directory with pg_basebackup and makes a standby of it.

import type { ReplicaMethod, ServerSettings } from '../config/agent/types.ts'
import { runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf, UserError } from '../platform/errors.ts'
import { makeRoom, noAnswer } from './bootstrap.ts'
import { readProgress, withoutProgress } from './clone-progress.ts'
import type { Context } from './context.ts'
import { intentOf } from './following.ts'
import type { Upstream } from './port.ts'
import { runReplicaMethod } from './replica-method.ts'
import { placesToFill } from './tablespaces.ts'
import { withToolConnection } from './tool-connection.ts'
import {
  BASEBACKUP_REFUSED,
  optionArguments,
  optionList,
  plainCopyOptions,
  splitRefused,
} from './tool-options.ts'
import { hasServer, upstreamWords } from './upstream.ts'

const TRIES = 2
const PAUSE_MS = 5000
/** A copy is ended by its signal; this only bounds a wait that nobody aborts. */
const CLONE_MS = 30 * 24 * 3_600_000
const FILES_MS = 30_000
/** What pg_basebackup says behind the reason. */
const CLEANING_UP = /^pg_basebackup: (removing |changes to tablespace directories)/

/**
 * Makes a copy by the configured methods, the first that succeeds, and writes a standby's configuration. Without a source
 * only methods that need no leader are tried. A failed or aborted copy leaves the directory empty, unless its method keeps
 * data. Rejects with the last failure: UserError when the source does not let us in.
 */
export async function clone(
  context: Context,
  source: Upstream | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, data, files } = context
  const isThere = source !== undefined && hasServer(source)
  const configured = methodsOf(context.settings, source)
  const methods = configured.filter(({ noLeader }) => noLeader || isThere)
  let isKept = configured[0]?.keepData === true && (await hasCluster(context))
  if (!isKept) await makeRoom(context, Deadline.in(clock, FILES_MS))
  await context.writePassfile(Deadline.in(clock, FILES_MS))
  let failure: unknown = new HaError('E_CLONE', 'no replica method works without a leader', {
    retryable: true,
  })
  let isDone = false
  for (const method of methods) {
    try {
      if (isKept && !method.keepData) {
        isKept = false
        log.warning(
          `the data that no method could use was set aside as ${await data.moveAside(Deadline.in(clock, FILES_MS))}`,
        )
      }
      await copyBy(context, method, isThere ? source : undefined, signal)
      isDone = true
      break
    } catch (error) {
      if (method.keepData) isKept ||= await hasCluster(context)
      else await data.discardContents(Deadline.in(clock, FILES_MS))
      signal.throwIfAborted()
      failure = error
      if (method !== methods.at(-1)) log.warning(messageOf(error))
    }
  }
  if (!isDone) throw failure
  const by = Deadline.in(clock, FILES_MS)
  const { majorVersion } = await context.binaries(by)
  const intent = intentOf(context, 'replica', source)
  await context.writeFiles(intent, by)
  await files.writeSignals(intent, majorVersion, by)
}

/** The operator lets the first method use what is there. */
export function keepsData(settings: ServerSettings): boolean {
  return methodsOf(settings)[0]?.keepData === true
}

/**
 * A cluster, or what a method that keeps data left of one: it is given to the method again. Rejects without an answer: what
 * the next method leaves is removed.
 */
async function hasCluster({ config, data, clock }: Context): Promise<boolean> {
  const look = await data.look(Deadline.in(clock, FILES_MS))
  if (look === undefined) throw noAnswer(config.postgres.dataDir)
  return look.state === 'initialized' || (look.state === 'unfinished' && look.majorVersion !== undefined)
}

function methodsOf(
  { replicaMethods, remoteMethods }: ServerSettings,
  source?: Upstream,
): readonly ReplicaMethod[] {
  const basebackup = { name: 'basebackup', command: undefined, options: [] }
  const ofMembers = replicaMethods ?? [{ ...basebackup, noParams: false, keepData: false, noLeader: false }]
  return source?.remote === undefined ? ofMembers : (remoteMethods ?? ofMembers)
}

async function copyBy(
  context: Context,
  method: ReplicaMethod,
  source: Upstream | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (method.command !== undefined) await runReplicaMethod(context, method, source, signal)
  else if (source !== undefined) await copyInTries(context, source, signal)
}

async function copyInTries(context: Context, source: Upstream, signal: AbortSignal): Promise<void> {
  const { clock, log, data } = context
  const places = await placesToFill(context, source, Deadline.in(clock, FILES_MS))
  for (let attempt = 1; ; attempt++) {
    try {
      await copy(context, source, signal)
      return
    } catch (error) {
      await data.discardContents(Deadline.in(clock, FILES_MS))
      await data.clearPlaces(places, Deadline.in(clock, FILES_MS))
      if (attempt === TRIES || signal.aborted || error instanceof UserError) throw error
      log.warning(
        `${String(error instanceof Error ? error.message : error)}; trying again in ${PAUSE_MS / 1000} s`,
      )
      await clock.sleep(PAUSE_MS, signal)
    }
  }
}

async function copy(context: Context, source: Upstream, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { config, clock, data } = context
  const binaries = await context.binaries(Deadline.in(clock, FILES_MS))
  const words = upstreamWords(context, source, config.postgres.replication)
  const named = { ...words, application_name: config.name }
  const onStderr = (text: string): void => {
    context.cloneProgress = readProgress(text) ?? context.cloneProgress
  }
  const result = await withToolConnection(named, ({ conninfo, env }) =>
    runChild(
      binaries.path('pg_basebackup'),
      [
        `--pgdata=${config.postgres.dataDir}`,
        '--wal-method=stream',
        `--dbname=${conninfo}`,
        '--no-password',
        '--progress',
        ...userArguments(context, binaries.majorVersion),
      ],
      { by: Deadline.in(clock, CLONE_MS), env, cwd: '/', signal, diesWithUs: true, onStderr },
    ),
  ).finally(() => {
    context.cloneProgress = undefined
  })
  signal.throwIfAborted()
  // A method that kept data may have left strange files, and its note.
  if (result.code === 0) return await data.endChange(Deadline.in(clock, FILES_MS))
  const said = withoutProgress(result.stderr).split('\n')
  const why = said
    .filter(line => !line.startsWith('password retrieved from file') && !CLEANING_UP.test(line))
    .slice(-2)
    .join(' / ')
  const { host, port } = source.address
  const what = `pg_basebackup from ${source.member} (${host}:${port}) failed: ${why}`
  if (
    !/password authentication failed|no pg_hba\.conf entry|no password supplied|role ".*" does not exist/.test(
      why,
    )
  ) {
    throw new HaError('E_CLONE', what, { retryable: true })
  }
  throw new UserError(
    `${what}: correct postgresql.authentication.replication in ${config.file}, or let this host in through postgresql.pg_hba`,
  )
}

/** The operator's own options; without a word from them the copy does not wait for a slow checkpoint. */
function userArguments(context: Context, major: number): readonly string[] {
  const { allowed: given, refused } = splitRefused(optionList(context.basebackupOptions), BASEBACKUP_REFUSED)
  if (refused.length > 0)
    context.log.warning(`postgresql.basebackup: ${refused.join(', ')} is set by us and left out`)
  const { allowed, refused: impossible } = plainCopyOptions(given, major)
  if (impossible.length > 0)
    context.log.warning(
      `postgresql.basebackup: ${impossible.join(', ')} is left out: a plain copy can be compressed on the server alone (server-gzip, server-lz4, server-zstd), from PostgreSQL 15 on`,
    )
  const checkpoint = allowed.some(({ name }) => name === 'checkpoint') ? [] : ['--checkpoint=fast']
  return [...optionArguments(allowed), ...checkpoint]
}
