// The cluster is paused: an operator works on it. Nothing is elected, started, stopped, promoted or demoted that nobody
// asked for by name; the key is kept while its server is a primary.

import type { Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { dataDirectoryIsEmpty, waitForStorage } from './data-directory.ts'
import { followsLeader } from './follow.ts'
import { gate } from './gate.ts'
import { fenceActs, isAnotherCluster, taskRuns } from './guards.ts'
import { holdsLeader, reattach } from './lead.ts'
import { leaderRace } from './race.ts'
import { serverIsDown, serverIsStarting } from './recover.ts'
import { systemIsUnregistered } from './register.ts'
import { leaderUpstream, runsAsPrimary, say } from './say.ts'
import { leadsStandbyCluster, standbyClusterServerIsDown } from './standby.ts'

/** Without etcd nothing changes: nobody else will be made leader by himself. */
const etcdIsSilent: Rule = ({ view }, memory) =>
  view === undefined
    ? say('paused-without-etcd', 'etcd does not answer: everything stays as it is', memory)
    : undefined

const anotherCluster: Rule = (snapshot, memory) => {
  if (!isAnotherCluster(snapshot)) return undefined
  const says = `system ID mismatch: ${snapshot.systemId} is not this cluster's; this node stays as it is`
  return letGo(snapshot, 'paused-another-cluster', says, memory)
}

/**
 * What we stopped ourselves at somebody's request we also start again, once its storage answers: nobody is elected meanwhile,
 * so the key waits, too. Anything else is the operator's.
 */
const serverIsGone: Rule = (snapshot, memory) => {
  const { server } = snapshot
  if (server.process !== 'stopped') return undefined
  if (memory.isOursToStart && server.dataDirectory === 'initialized') {
    const isStandbyCluster = snapshot.config.standbyCluster !== undefined
    return (isStandbyCluster ? standbyClusterServerIsDown : serverIsDown)(snapshot, memory)
  }
  if (memory.isOursToStart && server.dataDirectory === 'unknown' && !isForAnother(snapshot))
    return waitForStorage(server, memory)
  if (memory.isToBeCopied === true && mayCopy(snapshot)) return dataDirectoryIsEmpty(snapshot, memory)
  return letGo(snapshot, 'paused-server-down', 'the server is not running, and stays so', memory)
}

/** Nothing is thrown away, and there is a leader to copy: a pause founds no cluster. */
function mayCopy({ server, view, lease, self }: Snapshot): boolean {
  const isLed = view?.leader !== undefined && view.leader.name !== self.name && lease.hold === undefined
  return server.dataDirectory === 'empty' && isLed && leaderUpstream(view) !== undefined
}

/** The operator has named somebody else who is to lead. */
function isForAnother({ view, self }: Snapshot): boolean {
  const request = view?.request?.value
  const { candidate } = request ?? {}
  return request?.scheduledAt === undefined && candidate !== undefined && candidate !== self.name
}

/** A primary takes its key again; a standby leads only if it is named. */
const race: Rule = (snapshot, memory) => {
  const { view, server, self, acquired } = snapshot
  if (view === undefined || view.leader !== undefined) return undefined
  const request = view.request?.value
  const named = request?.scheduledAt === undefined ? request?.candidate : undefined
  if (named === self.name) return leaderRace(snapshot, { ...memory, isNamedInPause: true })
  const isOthers = named !== undefined && view.members.get(named)?.state === 'running'
  if (server.facts?.role !== 'primary' || isOthers || acquired !== undefined) {
    return say('paused-no-leader', 'nobody leads, and nobody is elected', memory)
  }
  // A pause stops elections, not safety: a primary that slept through another's term must not lead with its old data.
  const allowed = gate(snapshot, view, server.facts)
  if (!allowed.mayLead) return say('paused-overtaken', `${allowed.because}: I leave the leader key`, memory)
  return say('acquire-leader', 'I run as primary: taking the leader key', memory, { kind: 'acquire-leader' })
}

const leader: Rule = (snapshot, memory) => {
  const { view, self, server, lease } = snapshot
  if (view?.leader?.name !== self.name) return undefined
  if (lease.hold === undefined) return reattach(snapshot, view, memory) ?? withoutLock(memory)
  const { facts } = server
  if (snapshot.config.standbyCluster !== undefined) {
    // A change of sides is for the end of the pause.
    if (facts?.role === 'primary') return say('paused-as-primary', PRIMARY_STAYS, memory)
    return withoutHarshness(leadsStandbyCluster(snapshot, memory), memory)
  }
  if (facts?.role === 'replica' && !memory.isNamedInPause) {
    return letGo(snapshot, 'paused-not-primary', 'my server is no primary', memory)
  }
  return holdsLeader(snapshot, { ...memory, isNamedInPause: false })
}

/** Standbys still follow whoever leads, as far as that needs no restart; nothing is rewound. */
const follower: Rule = (snapshot, memory) => {
  if (runsAsPrimary(snapshot.server)) return withoutLock(memory)
  return withoutHarshness(followsLeader(snapshot, memory), memory)
}

const PRIMARY_STAYS =
  'I am the leader with the lock: this cluster becomes a standby cluster when the pause ends'

function withoutHarshness(decision: Decision | undefined, memory: Memory): Decision | undefined {
  const isHarsh = decision?.actions.some(({ kind }) => kind === 'rewind' || kind === 'set-aside') === true
  if (!isHarsh) return decision
  return say('paused-diverged', 'my history parts from the leader: left as it is', memory)
}

function withoutLock(memory: Memory): Decision {
  return say('paused-without-lock', 'continue to run as primary without lock', memory)
}

function letGo({ lease }: Snapshot, rule: string, says: string, memory: Memory): Decision {
  if (lease.hold === undefined) return say(rule, says, memory)
  return say(rule, `${says}: released leader key`, { ...memory, role: 'demoted' }, { kind: 'release-leader' })
}

/** A primary names its cluster also while paused: without the name a server of another cluster could join. */
function unregistered(snapshot: Snapshot, memory: Memory): Decision | undefined {
  return snapshot.server.facts?.role === 'primary' ? systemIsUnregistered(snapshot, memory) : undefined
}

const rules: readonly Rule[] = [
  fenceActs,
  taskRuns,
  etcdIsSilent,
  anotherCluster,
  unregistered,
  serverIsGone,
  serverIsStarting,
  race,
  leader,
  follower,
]

/** The judgement of a paused cluster: the first rule that speaks wins. */
export function decidePaused(snapshot: Snapshot, memory: Memory): Decision {
  for (const rule of rules) {
    const decision = rule(snapshot, memory)
    if (decision === undefined) continue
    return {
      ...decision,
      says: `PAUSE: ${decision.says}`,
      memory: { ...decision.memory, wasPaused: true },
    }
  }
  return say('paused', 'PAUSE: no action', { ...memory, wasPaused: true })
}
