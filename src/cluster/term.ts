// Our own key `pgherd/term`: rewritten in the transaction of every acquire, so that one that arrives late finds that somebody
// else has led since. It also tells when a leader that never stopped only took its vanished key again.

import { asBigint, asText, parseJsonObject, printJson } from './json.ts'

export const TERM_KEY = 'pgherd/term'

export interface Term {
  readonly name: string
  /** The create_revision of the same member's former key: nobody has led since, and its server has been a primary throughout. */
  readonly continues: bigint | undefined
}

export function printTerm({ name, continues }: Term): string {
  return printJson({ name, ...(continues === undefined ? {} : { continues: continues.toString() }) })
}

/** Reads the key; undefined when it is something else. */
export function parseTerm(value: string): Term | undefined {
  const fields = parseJsonObject(value)
  const name = fields === undefined ? undefined : asText(fields['name'])
  if (fields === undefined || name === undefined) return undefined
  return { name, continues: asBigint(fields['continues']) }
}
