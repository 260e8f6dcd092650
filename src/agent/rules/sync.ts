// The leader keeps who confirms its commits and who may succeed it in step: one write at a time, each read back.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { isClosed, parseStandbyNames } from '../sync/names.ts'
import { nextPriorityStep } from '../sync/priority.ts'
import { nextQuorumStep } from '../sync/quorum.ts'
import { syncScene } from '../sync/scene.ts'
import type { SyncScene, SyncStep } from '../sync/step.ts'
import { say } from './say.ts'

const UNSETTLED_LOOK_MS = 250

/** What the leader's synchronous upkeep wants: a step to take now, or nothing but to look again soon. */
export interface SyncUpkeep {
  readonly step: Decision | undefined
  readonly memory: Memory
  readonly againInMs: number | undefined
  readonly warns: string | undefined
}

export function keepSynchronous(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): SyncUpkeep {
  const nothing = { step: undefined, memory, againInMs: undefined, warns: undefined }
  if (facts.synchronous === undefined) return nothing
  if (snapshot.config.synchronousMode === 'off') return { ...nothing, step: turnOff(snapshot, view, memory) }
  const seen = syncScene(snapshot, view, facts, memory.sync)
  const { scene } = seen
  const { isStrict } = scene
  const isClosedNow = isClosed(parseStandbyNames(scene.names) ?? { method: 'first', count: 0, names: [] })
  const isLonely = isStrict && scene.able.length === 0
  const sync = { ...seen.memory, isLonely }
  const warns = isLonely && !memory.sync.isLonely ? lonely(isClosedNow, scene) : undefined
  const next = { ...memory, sync }
  const isQuorum = snapshot.config.synchronousMode === 'quorum'
  const step = (isQuorum ? nextQuorumStep(scene) : nextPriorityStep(scene)) ?? retake(snapshot, scene)
  if (step !== undefined) return { ...nothing, step: tell(step, view, next), memory: next, warns }
  const isWaiting = !scene.isSettled || seen.memory.missingSinceMs.size > 0 || isCatchingUp(scene)
  return { ...nothing, memory: next, warns, againInMs: isWaiting ? UNSETTLED_LOOK_MS : undefined }
}

/** After a restart of the agent the parameter is right but only the running server knows it: a restart would lose it. */
function retake({ synchronousNames }: Snapshot, { names }: SyncScene): SyncStep | undefined {
  const isHeld = synchronousNames.isKnown && synchronousNames.names === names
  return isHeld ? undefined : { kind: 'set-synchronous-names', names }
}

function isCatchingUp({ picked, confirmed }: SyncScene): boolean {
  return picked.some(name => !confirmed.includes(name))
}

function lonely(isClosedNow: boolean, { names }: SyncScene): string {
  const waits = isClosedNow || names === '' ? 'until a standby streams' : `for ${names}`
  return (
    'No active replication connections from Patroni members and synchronous_mode_strict is requested: ' +
    `commits wait ${waits}`
  )
}

/** The parameter first: as long as the key is there, somebody has to give the parameter back. */
function turnOff({ synchronousNames }: Snapshot, view: ClusterView, memory: Memory): Decision | undefined {
  const { isKnown, names } = synchronousNames
  if (names !== undefined || (view.sync !== undefined && !isKnown)) {
    return tell({ kind: 'set-synchronous-names', names: undefined }, view, memory)
  }
  return view.sync === undefined ? undefined : tell({ kind: 'delete-sync' }, view, memory)
}

function tell(step: SyncStep, { syncModRevision }: ClusterView, memory: Memory): Decision {
  switch (step.kind) {
    case 'delete-sync':
      return say('synchronous-off', 'synchronous mode is off: removing the sync key', memory, {
        ...step,
        syncModRevision,
      })
    case 'set-synchronous-names': {
      const says =
        step.names === undefined
          ? 'giving synchronous_standby_names back to the configuration'
          : `setting synchronous_standby_names to '${step.names}'`
      return say('synchronous-names', says, memory, step)
    }
    case 'write-sync': {
      const { standbys, quorum } = step.sync
      const whom = standbys.length === 0 ? 'no standby' : standbys.join(', ')
      const of = quorum === 0 ? '' : `, ${quorum} others needed to lead`
      return say('synchronous-standbys', `updating the sync key: ${whom}${of}`, memory, {
        ...step,
        syncModRevision,
      })
    }
  }
}
