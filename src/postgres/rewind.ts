// Takes a diverged server back to the point where the histories part, with pg_rewind.

import { runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { archiveReady } from './archive-ready.ts'
import type { Context } from './context.ts'
import { leaderLineage } from './divergence.ts'
import { toolEnvironment } from './environment.ts'
import { intentOf } from './following.ts'
import { untilCheckpointed } from './leader-checkpoint.ts'
import type { Lifecycle } from './lifecycle.ts'
import { fetchWal, missingWal } from './missing-wal.ts'
import type { Divergence, RewindResult, Upstream } from './port.ts'
import { stopServer } from './shutdown.ts'
import { withToolConnection } from './tool-connection.ts'
import { optionArguments, optionList, REWIND_REFUSED, splitRefused } from './tool-options.ts'
import { located, upstreamWords } from './upstream.ts'

/** A rewind is ended by its signal; this only bounds a wait that nobody aborts. */
const REWIND_MS = 24 * 3_600_000
const STOP_MS = 60_000
const FILES_MS = 30_000
const BEFORE_REWIND = 'before the rewind'
const ANSWER_MS = 5_000
const RESTORES_SINCE = 13
const CONFIG_FILE_SINCE = 15
/** Files of WAL that are fetched one by one. */
const FETCHED_MAX = 1_000
/** With --progress pg_rewind says this right before it changes the first file. */
const HAS_BEGUN_TO_COPY = /need to copy/
/** What pg_rewind says of a source that it lost or did not reach. */
const SOURCE_LOST =
  /connection to server|could not connect|server closed the connection|terminating connection|too many connections/
/** Of an error that would come again. */
const FINAL = 'E_REWIND'
/** These say where the server ended; in any other state it crashed. */
const CLEAN_STATES = ['shut down', 'shut down in recovery']

/** As Postgres.rewind. The server ends up stopped. Rejects only when `signal` aborts. */
export async function rewind(
  context: Context,
  lifecycle: Lifecycle,
  leader: Upstream,
  divergence: Divergence,
  signal: AbortSignal,
): Promise<RewindResult> {
  const { clock } = context
  try {
    const stop = { mode: 'fast', checkpointFirst: false, by: Deadline.in(clock, STOP_MS) } as const
    const { stopped } = await stopServer(context, lifecycle, stop, undefined)
    if (!stopped) return failed('our own server could not be stopped', false)
    await archiveReady(context, BEFORE_REWIND, signal)
    await context.files.writeSignals(
      { role: 'primary' },
      await majorVersion(context),
      Deadline.in(clock, FILES_MS),
    )
    if (await endCrash(context, lifecycle, signal)) await archiveReady(context, BEFORE_REWIND, signal)
    const leaderTimeline = await untilCheckpointed(context, leader, signal)
    const output = await runRewind(context, leader, signal)
    const before = divergence.kind === 'diverged' ? divergence : undefined
    if (/no rewind required/.test(output)) return await notNeeded(lifecycle, leaderTimeline, clock)
    const discardedBytes = before === undefined ? 0n : before.localEnd - before.at
    return { ok: true, discardedBytes, says: `rewound to the history of ${leader.member}`, isFinal: false }
  } catch (error) {
    signal.throwIfAborted()
    return failed(messageOf(error), error instanceof HaError && error.code === FINAL)
  }
}

/** Can pg_rewind run here: wanted, installed, and the data says which pages changed? */
export async function canRewind(context: Context, lifecycle: Lifecycle, by: Deadline): Promise<boolean> {
  if (!context.settings.usePgRewind) return false
  const binaries = await context.binaries(by).catch(() => undefined)
  if (binaries === undefined || !(await binaries.has('pg_rewind'))) return false
  const control = await lifecycle.controlFile(by)
  // What cannot be read now is tried: pg_rewind itself says no before it changes anything.
  return control === undefined || control.hasChecksums || control.hasWalLogHints
}

async function majorVersion(context: Context): Promise<number> {
  return (await context.binaries(Deadline.in(context.clock, FILES_MS))).majorVersion
}

/**
 * pg_rewind wants a server that ended cleanly. It can see to that itself, but not with the parameters that we give on the
 * command line. Its own archiver does nothing in this run; what is complete then is archived afterwards. False when there was
 * no crash.
 */
async function endCrash(context: Context, lifecycle: Lifecycle, signal: AbortSignal): Promise<boolean> {
  const { clock, config } = context
  const control = await lifecycle.controlFile(Deadline.in(clock, FILES_MS))
  if (control === undefined || CLEAN_STATES.includes(control.state)) return false
  context.log.info(`ending the crash (control file: ${control.state}) in single-user mode before the rewind`)
  const binaries = await context.binaries(Deadline.in(clock, FILES_MS))
  const parameters = {
    ...context.settings.controlled,
    ...control.primarySettings,
    archive_mode: 'on',
    archive_command: 'false',
  }
  const result = await runChild(
    binaries.path('postgres'),
    [
      '--single',
      '-D',
      config.postgres.dataDir,
      `--config_file=${context.files.mainFile}`,
      ...Object.entries(parameters).map(([name, value]) => `--${name}=${value}`),
      'template1',
    ],
    { by: Deadline.in(clock, REWIND_MS), env: toolEnvironment(), cwd: '/', signal, diesWithUs: true },
  )
  signal.throwIfAborted()
  if (result.code !== 0) throw new HaError(FINAL, `single-user recovery failed: ${lastLine(result.stderr)}`)
  return true
}

async function runRewind(context: Context, leader: Upstream, signal: AbortSignal): Promise<string> {
  const { clock, config, data, files } = context
  const binaries = await context.binaries(Deadline.in(clock, FILES_MS))
  await context.writePassfile(Deadline.in(clock, FILES_MS))
  const words = upstreamWords(context, leader, config.postgres.rewind)
  const source = { ...words, dbname: config.postgres.database, options: '-c statement_timeout=0' }
  const args = ['--progress', `--target-pgdata=${config.postgres.dataDir}`]
  args.push(...configArguments(binaries.majorVersion, files.isBesideData, files.mainFile))
  const settingsThen = context.settingsAs('replica')
  const isFetched = (settingsThen.recovery['restore_command'] ?? '') !== ''
  // A primary's files have no restore_command, and pg_rewind asks them for it.
  if (isFetched) await context.writeFiles(intentOf(context, 'replica', leader), Deadline.in(clock, FILES_MS))
  args.push(...restoreArguments(binaries.majorVersion, isFetched, files.isBesideData))
  const extra = splitRefused(
    optionList(context.settings.rewindOptions ?? config.postgres.rewindOptions ?? []),
    REWIND_REFUSED,
  )
  if (extra.refused.length > 0)
    context.log.warning(`postgresql.rewind: ${extra.refused.join(', ')} is set by us and left out`)
  args.push(...optionArguments(extra.allowed))
  // Half rewound, a directory may look whole and never come up, or worse: the note outlives us.
  await data.beginChange(Deadline.in(clock, FILES_MS))
  const attempt = () =>
    withToolConnection(source, ({ conninfo, env }) =>
      runChild(binaries.path('pg_rewind'), [...args, `--source-server=${conninfo}`], {
        by: Deadline.in(clock, REWIND_MS),
        env,
        cwd: '/',
        signal,
        diesWithUs: true,
      }),
    )
  let result = await attempt()
  for (let fetched = 0; result.code !== 0 && fetched < FETCHED_MAX; fetched += 1) {
    const name = missingWal(result.stderr)
    if (name === undefined || !(await fetchWal(context, name, signal))) break
    result = await attempt()
  }
  const output = `${result.stdout}\n${result.stderr}`
  const isUntouched = !HAS_BEGUN_TO_COPY.test(output)
  if (result.code === 0 || isUntouched) await data.endChange(Deadline.in(clock, FILES_MS))
  signal.throwIfAborted()
  if (result.code === 0) return output
  const says = lastLine(result.stderr)
  if (isUntouched && (SOURCE_LOST.test(result.stderr) || !(await isAnswering(context, leader))))
    throw new HaError('E_LEADER', says, { retryable: true })
  throw new HaError(FINAL, says)
}

/** Could the leader be compared with now? */
async function isAnswering(context: Context, leader: Upstream): Promise<boolean> {
  const by = Deadline.in(context.clock, ANSWER_MS)
  const asked = located(context, leader, by).then(found => leaderLineage(context, found, by))
  return asked.then(
    () => true,
    () => false,
  )
}

/** How pg_rewind of this major finds a configuration that lies beside the data; below 15 it cannot be told. */
export function configArguments(major: number, isBesideData: boolean, mainFile: string): readonly string[] {
  return isBesideData && major >= CONFIG_FILE_SINCE ? [`--config-file=${mainFile}`] : []
}

/** How pg_rewind of this major comes by WAL that is only in the archive; below 13 we fetch it for it. */
export function restoreArguments(
  major: number,
  hasCommand: boolean,
  isBesideData: boolean,
): readonly string[] {
  const seesCommand = !isBesideData || major >= CONFIG_FILE_SINCE
  return hasCommand && major >= RESTORES_SINCE && seesCommand ? ['--restore-target-wal'] : []
}

/** Right when our history is a part of the leader's; wrong when both stand on the same number by different ways. */
async function notNeeded(
  lifecycle: Lifecycle,
  leaderTimeline: number,
  clock: Context['clock'],
): Promise<RewindResult> {
  const control = await lifecycle.controlFile(Deadline.in(clock, FILES_MS))
  if (control === undefined || control.timeline >= leaderTimeline)
    return failed(
      `pg_rewind cannot compare two histories of the same timeline ${leaderTimeline}: clone this member again`,
      true,
    )
  return { ok: true, discardedBytes: 0n, says: 'pg_rewind found nothing to do', isFinal: false }
}

function failed(says: string, isFinal: boolean): RewindResult {
  return { ok: false, discardedBytes: 0n, says, isFinal }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
