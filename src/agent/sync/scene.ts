// What the synchronous state is decided from: who could confirm, who has caught up, and since when the parameter counts. Pure.

import type { Lsn } from '../../cluster/lsn.ts'
import { isTagged } from '../../cluster/member.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Snapshot } from '../snapshot.ts'
import { type Candidate, syncCandidates } from './candidates.ts'
import { includesName, parseStandbyNames, union } from './names.ts'
import type { SyncScene } from './step.ts'

/** What the leader remembers of its synchronous state from look to look. */
export interface SyncMemory {
  /** The parameter and the server's start for which the rest counts. */
  readonly parameter: string | undefined
  readonly sinceMs: number
  /** Everything that was acknowledged before this parameter was in effect lies before this position. */
  readonly settledAt: Lsn | undefined
  /** Standbys that confirm commits but do not stream now, since when. */
  readonly missingSinceMs: ReadonlyMap<string, number>
  /** That nobody confirms has been told. */
  readonly isLonely: boolean
}

export const firstSyncMemory: SyncMemory = {
  parameter: undefined,
  sinceMs: 0,
  settledAt: undefined,
  missingSinceMs: new Map(),
  isLonely: false,
}

/** All processes of the server have read a new parameter after this long; the checkpointer is watched besides. */
const SETTLE_MS = 1_000
/** A receiver that reconnects is not worth two changes of the cluster's synchronous state. */
const MISSING_GRACE_MS = 1_000

/** The scene of this look, and what to remember of it. */
export function syncScene(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  before: SyncMemory,
): { readonly scene: SyncScene; readonly memory: SyncMemory } {
  const { self, config, nowMs } = snapshot
  const names = facts.synchronous?.names ?? ''
  const current = parseStandbyNames(names)?.names ?? []
  const found = syncCandidates(view, facts, {
    me: self.name,
    commit: self.synchronousCommit,
    maximumLagBytes: config.maximumLagOnSyncnodeBytes,
    current,
  })
  const listed = union(view.sync?.value.standbys ?? [], current)
  const missing = stillMissing(view, facts, listed, before.missingSinceMs, nowMs)
  const memory = { ...settle(facts, nowMs, before), missingSinceMs: missing }
  const expected = [...missing].flatMap(([name, sinceMs]) =>
    nowMs - sinceMs < MISSING_GRACE_MS ? [name] : [],
  )
  const able = union(
    expected,
    found.map(({ name }) => name),
  )
  const scene: SyncScene = {
    me: self.name,
    recorded: view.sync?.value,
    names,
    picked: able.slice(0, config.synchronousNodeCount),
    able,
    confirmed: found.filter(candidate => hasConfirmed(candidate, memory.settledAt)).map(({ name }) => name),
    isSettled: memory.settledAt !== undefined,
    isStrict: config.isSynchronousStrict,
    wantedCount: config.synchronousNodeCount,
  }
  return { scene, memory }
}

function hasConfirmed({ lsn, state }: Candidate, settledAt: Lsn | undefined): boolean {
  return settledAt !== undefined && lsn >= settledAt && (state === 'sync' || state === 'quorum')
}

/** Listed members that are there and may confirm, but do not stream: since when. */
function stillMissing(
  view: ClusterView,
  facts: ServerFacts,
  listed: readonly string[],
  before: ReadonlyMap<string, number>,
  nowMs: number,
): ReadonlyMap<string, number> {
  const streaming = facts.senders.flatMap(sender =>
    sender.state === 'streaming' ? [sender.applicationName] : [],
  )
  const missing = new Map<string, number>()
  for (const { name, state, tags } of view.members.values()) {
    const mayConfirm = state === 'running' && !isTagged(tags, 'nosync', 'sync_priority')
    if (!mayConfirm || !includesName(listed, name) || includesName(streaming, name)) continue
    missing.set(name, before.get(name) ?? nowMs)
  }
  return missing
}

/** A parameter counts from when every session waits by it; positions are compared with the one of that instant. */
function settle(facts: ServerFacts, nowMs: number, before: SyncMemory): SyncMemory {
  const { synchronous } = facts
  if (synchronous === undefined) return before
  const parameter = `${facts.postmasterStartTime} ${synchronous.names}`
  if (parameter !== before.parameter) return { ...before, parameter, sinceMs: nowMs, settledAt: undefined }
  const isDue = before.settledAt === undefined && nowMs - before.sinceMs >= SETTLE_MS
  if (!isDue || !synchronous.isCheckpointerAtRest || !sendersAgree(facts, synchronous.names)) return before
  return { ...before, settledAt: synchronous.flushLsn }
}

/** Every walsender acts by this parameter: exactly those that it names have a priority. */
function sendersAgree({ senders }: ServerFacts, text: string): boolean {
  const names = parseStandbyNames(text)?.names ?? []
  return senders.every(({ applicationName, syncPriority, state }) => {
    const isNamed = names.includes('*') || includesName(names, applicationName)
    return state !== 'streaming' || syncPriority > 0 === isNamed
  })
}
