// A primary that ended before its archiver was done leaves complete WAL that nobody else will archive: its successor only
// archives what it writes itself. A rewind throws that WAL away, and the archive would have a hole for ever.

import { runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Context } from './context.ts'
import { serverEnvironment, toolEnvironment } from './environment.ts'
import type { Lifecycle } from './lifecycle.ts'
import { segmentName } from './timeline-start.ts'

const FILES_MS = 30_000
const SETTING_MS = 10_000
/** For all files together: an archive that is away must not keep a server down for ever. */
const ARCHIVE_MS = 600_000

/** The server itself calls the command from its data directory. */
const RUN = `
cd "$1" || exit 1
/bin/sh -c "$2" || exit 1
mv -f "pg_wal/archive_status/$3.ready" "pg_wal/archive_status/$3.done"`

/**
 * Archives what the stopped server left, with its own archive_command, oldest first. The first failure ends it with an error
 * in the log that names what is missing; the caller goes on. `when` is for the log. Rejects only when `signal` aborts.
 */
export async function archiveReady(context: Context, when: string, signal: AbortSignal): Promise<void> {
  const { data, clock, log } = context
  const by = Deadline.in(clock, ARCHIVE_MS)
  const names = await data.unarchivedWal(by.within(FILES_MS)).catch(() => [])
  if (names.length === 0) return
  const command = await archiveCommand(context, by)
  if (command === undefined) return
  for (const [index, name] of names.entries()) {
    const words = [data.path, filledIn(command, name), name]
    const result = await runChild('/bin/sh', ['-c', RUN, 'sh', ...words], {
      by,
      env: serverEnvironment(),
      cwd: '/',
      signal,
      diesWithUs: true,
    })
    signal.throwIfAborted()
    if (result.code === 0) continue
    const left = names.slice(index)
    const why = result.timedOut ? 'it did not end in time' : (result.stderr.trim().split('\n').at(-1) ?? '')
    log.error(
      `archive_command failed for ${left[0]} ${when} (${why}): ${left.length} WAL files up to ${left.at(-1)} are missing in the archive; take a new base backup`,
    )
    return
  }
  log.info(`archived ${names.length} WAL files ${when}, ${names[0]} to ${names.at(-1)}`)
}

/**
 * As Postgres.archiveEnd. PostgreSQL archives all but the file with the shutdown checkpoint, because it may go on to write
 * there; a cluster that follows by the archive alone needs it to know that it has everything.
 */
export async function archiveEnd(context: Context, lifecycle: Lifecycle, signal: AbortSignal): Promise<void> {
  const { clock, data, log } = context
  const by = Deadline.in(clock, FILES_MS)
  try {
    const control = await lifecycle.controlFile(by)
    if (control?.state !== 'shut down' || (await archiveCommand(context, by)) === undefined) return
    const name = segmentName(control.timeline, control.checkpointLsn, control.walSegmentBytes)
    await data.write(`pg_wal/archive_status/${name}.ready`, '', by)
    await archiveReady(context, 'after the last checkpoint', signal)
  } catch (error) {
    signal.throwIfAborted()
    log.error(`the last WAL could not be archived: ${messageOf(error)}`)
  }
}

/** As the server's files have it; undefined when nothing is archived, or by a library that only a server can run. */
async function archiveCommand(context: Context, by: Deadline): Promise<string | undefined> {
  const [mode, command] = await Promise.all([
    settingOf(context, 'archive_mode', by),
    settingOf(context, 'archive_command', by),
  ])
  return mode === undefined || mode === 'off' || command === '' ? undefined : command
}

async function settingOf(context: Context, name: string, by: Deadline): Promise<string | undefined> {
  const binaries = await context.binaries(by)
  const { data, files } = context
  const args = ['-D', data.path, `--config_file=${files.mainFile}`, '-C', name]
  const limits = { by: by.within(SETTING_MS), env: toolEnvironment(), cwd: '/' }
  const { code, stdout } = await runChild(binaries.path('postgres'), args, limits)
  return code === 0 ? stdout.replace(/\n$/, '') : undefined
}

/** `%p` is the file's path from the data directory, `%f` its name. */
function filledIn(command: string, name: string): string {
  return command.replace(/%([pf%])/g, (_all, letter: string) =>
    letter === 'p' ? `pg_wal/${name}` : letter === 'f' ? name : '%',
  )
}
