// The agent's whole judgement: one snapshot in, one decision out. Pure; no clock, no I/O.

import type { Decision, Rule } from './decision.ts'
import {
  dataDirectoryIsEmpty,
  dataDirectoryIsSilent,
  dataDirectoryIsUnreadable,
} from './rules/data-directory.ts'
import { followsLeader } from './rules/follow.ts'
import { leaderGivesWay } from './rules/give-way.ts'
import { anotherCluster, etcdIsSilent, fenceActs, taskRuns } from './rules/guards.ts'
import { holdsLeader } from './rules/lead.ts'
import { decidePaused } from './rules/pause.ts'
import { leaderRace } from './rules/race.ts'
import { serverIsDown, serverIsStarting } from './rules/recover.ts'
import { systemIsUnregistered } from './rules/register.ts'
import { leadsStandbyCluster, standbyClusterServerIsDown } from './rules/standby.ts'
import type { Memory, Snapshot } from './snapshot.ts'

/**
 * Rules are tried in order; the first that speaks wins. The order is part of the safety argument: what ends authority
 * comes before what uses it, what looks at the data comes before what starts a server on it.
 */
export const rules: readonly Rule[] = [
  fenceActs,
  leaderGivesWay,
  taskRuns,
  etcdIsSilent,
  anotherCluster,
  dataDirectoryIsUnreadable,
  dataDirectoryIsSilent,
  dataDirectoryIsEmpty,
  systemIsUnregistered,
  serverIsDown,
  serverIsStarting,
  leaderRace,
  holdsLeader,
  followsLeader,
]

/** The same in a cluster that follows another one: nobody is promoted, and whoever starts does so as a standby. */
export const standbyRules: readonly Rule[] = rules.map(rule =>
  rule === serverIsDown ? standbyClusterServerIsDown : rule === holdsLeader ? leadsStandbyCluster : rule,
)

export function decide(snapshot: Snapshot, before: Memory): Decision {
  const memory = onceUp(snapshot, before)
  if (snapshot.config.isPaused) return decidePaused(snapshot, memory)
  const isStandbyCluster = snapshot.config.standbyCluster !== undefined
  const known = afterPause(memory)
  for (const rule of isStandbyCluster ? standbyRules : rules) {
    const decision = rule(snapshot, known)
    if (decision !== undefined) return decision
  }
  return { rule: 'no-rule', says: 'waiting: no rule covers this state', actions: [], memory: known }
}

/** A server that is up needs no start and no copy of ours any more: whoever stops or empties it in a later pause means it. */
function onceUp({ server, task }: Snapshot, memory: Memory): Memory {
  if (server.facts === undefined || task !== undefined) return memory
  if (!memory.isOursToStart && memory.isToBeCopied !== true) return memory
  return { ...memory, isOursToStart: false, isToBeCopied: false }
}

/** In a pause an operator may do anything to a server: what its history was found to be before counts no more. */
function afterPause(memory: Memory): Memory {
  if (memory.wasPaused !== true) return memory
  const forgotten = { cleanAgainst: undefined, rewindFailedAgainst: undefined, rewindPause: undefined }
  return { ...memory, wasPaused: false, ...forgotten }
}
