// Asks PostgreSQL's own program which of our parameters it would take. One that it does not know, or a value that it
// refuses, in postgresql.conf would keep the server from starting: such a parameter is left out and told.

import { runChild } from '../platform/child.ts'
import type { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { toolEnvironment } from './environment.ts'

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
/** Each round finds one mistake. */
const ROUNDS_MAX = 50

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
  const left = new Map(Object.entries(parameters).filter(([name]) => !known.has(keyOf(name))))
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const says = await firstComplaint(postgres, left, by.within(CHECK_MS))
    const name = says === undefined ? undefined : nameIn(says, left)
    if (says === undefined || name === undefined) break
    left.delete(name)
    known.set(keyOf(name), { name, says })
  }
  const refused = Object.keys(parameters).flatMap(name => known.get(keyOf(name)) ?? [])
  return { accepted: Object.fromEntries(left), refused }
}

/** What the program says first; undefined when it is content. */
async function firstComplaint(
  postgres: string,
  parameters: ReadonlyMap<string, string>,
  by: Deadline,
): Promise<string | undefined> {
  const words = [...parameters].map(([name, value]) => `--${name}=${value}`)
  // -C prints one setting and ends, before anything of a data directory is read.
  const args = ['-D', '/', '--config_file=/dev/null', ...words, '-C', 'max_connections']
  const result = await runChild(postgres, args, { by, env: toolEnvironment(), cwd: '/' })
  if (result.timedOut) {
    throw new HaError('E_TOOL', `${postgres} -C did not end in time`, { retryable: true })
  }
  if (result.code === 0) return undefined
  return /FATAL:\s+(.*)/.exec(result.stderr)?.[1]
}

/** The parameter that a complaint is about; names compare without case. */
function nameIn(complaint: string, parameters: ReadonlyMap<string, string>): string | undefined {
  const named = /parameter "([^"]+)"/.exec(complaint)?.[1]?.toLowerCase()
  return [...parameters.keys()].find(name => name.toLowerCase() === named)
}
