// A member's tags. Their order and their types are kept, because other members read them from the member key.

import { asInteger } from '../../cluster/json.ts'
import type { Tags } from '../../cluster/member.ts'
import type { Section } from './section.ts'
import { readBoolean } from './units.ts'

/** A boolean tag and the priority tag that says the same with a number. */
const PAIRS = [
  ['nofailover', 'failover_priority'],
  ['nosync', 'sync_priority'],
] as const
const BOOLEANS = ['nofailover', 'noloadbalance', 'clonefrom', 'nosync', 'nostream'] as const

/** Reads the tags; words for a boolean become booleans. Warns when a boolean contradicts its priority. */
export function readTags(section: Section): Tags {
  const tags = { ...section.values }
  for (const name of BOOLEANS) {
    if (!section.has(name)) continue
    const value = readBoolean(section.values[name])
    if (value === undefined) throw section.wrong(name, 'true or false')
    tags[name] = value
  }
  for (const [name, priorityName] of PAIRS) {
    const flag = tags[name]
    const priority = asInteger(section.values[priorityName])
    if (typeof flag !== 'boolean' || priority === undefined || flag === priority <= 0) continue
    const said = flag ? 'True' : 'False'
    section.warn(
      name,
      `Conflicting configuration between ${name}: ${said} and ${priorityName}: ${section.text(priorityName)}. ` +
        `Defaulting to ${name}: ${said}`,
    )
  }
  return tags
}
