// WAL that pg_rewind needs of our own server and that is no longer in pg_wal. From 13 on it fetches such files itself; below,
// and where it cannot see the command, we fetch the file that it names and let it try again.

import { runChild } from '../platform/child.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Context } from './context.ts'
import { serverEnvironment } from './environment.ts'

const FETCH_MS = 600_000
/** What stands for `%r` where no restart point is known: nothing in an archive is older. */
const OLDEST = '0'.repeat(24)
const MISSING = /could not open file "[^"]*pg_wal\/([0-9A-F]{24})": No such file or directory/

/** Half a file must not look like a whole one. */
const RUN = `
cd "$1" || exit 1
[ ! -e "pg_wal/$3" ] || exit 1
/bin/sh -c "$2" && [ -s "pg_wal/$3.pgherd" ] && mv -f "pg_wal/$3.pgherd" "pg_wal/$3" && exit 0
rm -f "pg_wal/$3.pgherd"
exit 1`

/** The WAL file for whose want pg_rewind ended; undefined when it ended for another reason. */
export function missingWal(output: string): string | undefined {
  return MISSING.exec(output)?.[1]
}

/** The command with which the server would fetch a WAL file, into a file beside. */
export function fetchCommand(restoreCommand: string, name: string): string {
  const words: Readonly<Record<string, string>> = { p: `pg_wal/${name}.pgherd`, f: name, r: OLDEST, '%': '%' }
  return restoreCommand.replace(/%([pfr%])/g, (all, letter: string) => words[letter] ?? all)
}

/** Fetches one file with restore_command. False when there is no command or the archive does not have it. */
export async function fetchWal(context: Context, name: string, signal: AbortSignal): Promise<boolean> {
  const { clock, data, log, settings } = context
  const command = (settings.byRole?.replica ?? settings).recovery['restore_command']
  if (command === undefined || command === '') return false
  const result = await runChild('/bin/sh', ['-c', RUN, 'sh', data.path, fetchCommand(command, name), name], {
    by: Deadline.in(clock, FETCH_MS),
    env: serverEnvironment(),
    cwd: '/',
    signal,
    diesWithUs: true,
  })
  signal.throwIfAborted()
  if (result.code === 0) log.info(`fetched WAL file ${name} with restore_command for the rewind`)
  else log.warning(`restore_command does not bring WAL file ${name}, which the rewind needs`)
  return result.code === 0
}
