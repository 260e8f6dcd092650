// The names of the rules, read from the sources: whoever adds a rule adds a situation that the simulation must reach.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../../src/agent/rules/', import.meta.url)

/** Situations that no world has yet: each with its reason. */
const NOT_IN_A_WORLD: Readonly<Record<string, string>> = {
  'another-cluster': 'one cluster in a scope',
  'paused-another-cluster': 'one cluster in a scope',
  'data-directory-silent': 'storage does not hang',
  'data-directory-unreadable': 'storage does not fail',
  'clone-alone': 'no archive in a world',
  'follow-archive': 'no archive in a world',
  'clone-remote': 'not all members lose their data',
  'paused-as-primary': 'nobody demotes a paused cluster; it has a row in the decision table',
  'wal-gone': 'no leader throws WAL away',
  rebuild: 'no leader throws WAL away',
  diverged: 'use_pg_rewind is on',
  'paused-diverged': 'use_pg_rewind is on',
  paused: 'for a situation that no other rule of a pause covers: there is none',
  'paused-overtaken': 'rarer than one in 2,000 worlds; it has rows of its own in the decision table',
  'hand-over-storage': 'storage does not fail; on real disks it is a test of the faults',
}

/** Every rule name that a world should reach. */
export const rulesToSee: readonly string[] = namesInSources().filter(
  name => NOT_IN_A_WORLD[name] === undefined,
)

function namesInSources(): readonly string[] {
  const names = readdirSync(folder).flatMap(file => {
    const text = readFileSync(fileURLToPath(new URL(file, folder)), 'utf8')
    const spoken = text.matchAll(/\b(?:say|sayUnanswered|letGo)\(\s*(?:snapshot,\s*)?'([a-z-]+)'/g)
    return [...spoken].map(match => match[1] ?? '')
  })
  return [...new Set(names)].sort()
}
