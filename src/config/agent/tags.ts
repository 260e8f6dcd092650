// A member's tags. Their order and their types are kept, because other members read them from the member key and must
// come to the same conclusion.

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

/** Reads the tags as they are. Warns of text where a boolean belongs, and of a boolean that contradicts its priority. */
export function readTags(section: Section): Tags {
  for (const name of BOOLEANS) checkBoolean(section, name)
  for (const [name, priorityName] of PAIRS) {
    const flag = readBoolean(section.values[name])
    const priority = asInteger(section.values[priorityName])
    if (flag === undefined || priority === undefined || flag === priority <= 0) continue
    const said = flag ? 'True' : 'False'
    section.warn(
      name,
      `Conflicting configuration between ${name}: ${said} and ${priorityName}: ${section.text(priorityName)}. ` +
        `Defaulting to ${name}: ${said}`,
    )
  }
  return section.values
}

/** Text in quotes is true for every member, whatever it says: `nofailover: 'no'` keeps a node from leading for ever. */
function checkBoolean(section: Section, name: string): void {
  const value = section.values[name]
  if (value === undefined || value === null || typeof value === 'boolean') return
  if (typeof value === 'object') throw section.wrong(name, 'true or false')
  if (typeof value === 'string') {
    section.warn(
      name,
      `is text, and any text counts as true: write ${name}: true or ${name}: false without quotes`,
    )
  }
}
