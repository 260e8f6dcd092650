// Asks PostgreSQL's own program which of our parameters it would take. One that it does not know, or a value that it
// refuses, in postgresql.conf would keep the server from starting: such a parameter is left out and told.

import { runChild } from '../platform/child.ts'
import type { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { toolEnvironment } from './environment.ts'
import { settingLines } from './settings-text.ts'

/** A parameter that the server would not take, with the server's own words. */
export interface RefusedParameter {
  readonly name: string
  readonly says: string
}

export interface CheckedParameters {
  readonly accepted: Readonly<Record<string, string>>
  readonly refused: readonly RefusedParameter[]
}

const CHECK_MS = 5_000
/** Values are judged one after the other in the order of the file, names before them: two rounds find nearly all. */
const ROUNDS_MAX = 50

const NO_PLACE = 77

/**
 * Commands and their keys stand in the values, so they go through a file that nobody else can open: it has no name any more
 * when the program reads it. Memory first: a full disk must not keep a server from its settings.
 */
const CHECK = `
conf=$(cat)
umask 077
for d in /dev/shm "\${TMPDIR:-/tmp}"; do
  f=$(mktemp "$d/pgherd.XXXXXX" 2>/dev/null) || continue
  if printf '%s\\n' "$conf" > "$f" && exec 3< "$f"; then rm -f "$f"; break; fi
  rm -f "$f"
done
[ -e /dev/fd/3 ] || exit ${NO_PLACE}
exec "$1" -D / --config_file=/dev/fd/3 -C max_connections`

/** What PostgreSQL's grammar takes as a name in a file. */
const NAME = /^[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*(\.[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?$/
/** In a file these would do something else than set a parameter. */
const DIRECTIVE = /^include(_dir|_if_exists)?$/i
/** They change where the program looks for files; their values say nothing about the others. */
const PLACES = /^(data_directory|config_file)$/i
/** From these on what the program says may look otherwise, or be said nowhere: they come last. */
const SILENCING = /^(log_min_messages|log_destination|log_line_prefix|lc_messages)$/i

/** Refusals by name and value, so that a check that ran out of time goes on where it was. */
export type KnownRefusals = Map<string, RefusedParameter>

/**
 * Splits `parameters` into those that the program `postgres` takes and those that it refuses. Touches no data directory
 * and no running server. Rejects when the program does not answer in time: nothing unchecked is written. What was found
 * until then is in `known`.
 */
export async function checkParameters(
  postgres: string,
  parameters: Readonly<Record<string, string>>,
  known: KnownRefusals,
  by: Deadline,
): Promise<CheckedParameters> {
  const keyOf = (name: string) => `${name}=${parameters[name] ?? ''}`
  for (const name of Object.keys(parameters).filter(isNoName))
    known.set(keyOf(name), { name, says: `unrecognized configuration parameter "${name}"` })
  const left = new Map(Object.entries(parameters).filter(([name]) => !known.has(keyOf(name))))
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const refused = refusedIn(await complaints(postgres, left, by.within(CHECK_MS)), left)
    if (refused.length === 0) break
    for (const refusal of refused) {
      left.delete(refusal.name)
      known.set(keyOf(refusal.name), refusal)
    }
  }
  const refused = Object.keys(parameters).flatMap(name => known.get(keyOf(name)) ?? [])
  return { accepted: Object.fromEntries(left), refused }
}

function isNoName(name: string): boolean {
  return !NAME.test(name) || DIRECTIVE.test(name)
}

/** What the program says; empty when it is content. */
async function complaints(
  postgres: string,
  parameters: ReadonlyMap<string, string>,
  by: Deadline,
): Promise<string> {
  const told = [...parameters].filter(([name]) => !PLACES.test(name))
  const isSilencing = ([name]: readonly [string, string]) => SILENCING.test(name)
  const input = settingLines([...told.filter(entry => !isSilencing(entry)), ...told.filter(isSilencing)])
  // -C prints one setting and ends, before anything of a data directory is read.
  const result = await runChild('/bin/sh', ['-c', CHECK, 'sh', postgres], {
    by,
    env: toolEnvironment(),
    cwd: '/',
    input,
  })
  if (result.timedOut) {
    throw new HaError('E_TOOL', `${postgres} -C did not end in time`, { retryable: true })
  }
  if (result.code === NO_PLACE) {
    throw new HaError(
      'E_TOOL',
      'the parameters could not be checked: neither /dev/shm nor the directory for temporary files takes a file',
      {
        retryable: true,
      },
    )
  }
  return result.code === 0 ? '' : result.stderr
}

/** The parameters that the complaints are about, each with the first; names compare without case. */
function refusedIn(said: string, parameters: ReadonlyMap<string, string>): readonly RefusedParameter[] {
  const found = new Map<string, RefusedParameter>()
  for (const [, text = ''] of said.matchAll(/(?:LOG|ERROR|FATAL):\s+(.*)/g)) {
    const named = /parameter "([^"]+)"/.exec(text)?.[1]?.toLowerCase()
    const name = [...parameters.keys()].find(key => key.toLowerCase() === named)
    const says = text.replace(/ in file "[^"]*" line \d+/, '')
    if (name !== undefined && !found.has(name)) found.set(name, { name, says })
  }
  return [...found.values()]
}
