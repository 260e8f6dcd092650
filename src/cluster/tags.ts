// A member's tags as its key and its REST document show them.

import type { Json } from './json.ts'
import type { Tags } from './member.ts'

const leftOutWhenFalse = ['clonefrom', 'nofailover', 'noloadbalance', 'nosync', 'nostream']
const keptBesidePriority: Readonly<Record<string, string>> = {
  nofailover: 'failover_priority',
  nosync: 'sync_priority',
}

/** The tags as others expect to read them: false ones are left out, unless a priority beside them needs the word. */
export function writtenTags(tags: Tags): Tags {
  const written: Record<string, Json> = {}
  for (const [name, value] of Object.entries(tags)) {
    const priority = keptBesidePriority[name]
    const isNeeded = priority !== undefined && tags[priority] !== undefined
    if (value === false && leftOutWhenFalse.includes(name) && !isNeeded) continue
    written[name] = value
  }
  return written
}
