// The cluster as etcd tells it at one revision: all keys parsed once, tolerant of malformed values.

import type { Epoch } from './epoch.ts'
import { type HistoryLine, parseHistory } from './history.ts'
import { asText, type JsonObject, parseJsonObject } from './json.ts'
import { type Member, parseMember } from './member.ts'
import { type FailoverRequest, parseRequest } from './request.ts'
import { emptyStatus, parseStatus, type Status } from './status.ts'
import { parseSync, type SyncState } from './sync.ts'

/** One key below the scope's prefix. Revisions and lease ids pass 2^53. `leaseId` 0 means no lease. */
export interface KeyValue {
  /** Relative to the prefix: `leader`, `members/pg1`. */
  readonly key: string
  readonly value: string
  readonly createRevision: bigint
  readonly modRevision: bigint
  readonly leaseId: bigint
}

/** Where an answer of etcd stood: its cluster, the revision and the raft term of its header. */
export interface Position {
  readonly clusterId: string
  readonly revision: bigint
  readonly raftTerm: bigint
}

export interface LeaderKey {
  readonly name: string
  readonly createRevision: bigint
  readonly modRevision: bigint
  readonly leaseId: bigint
}

/** A parsed value together with the revisions that a compare-and-swap needs. */
export interface Versioned<T> {
  readonly value: T
  readonly createRevision: bigint
  readonly modRevision: bigint
}

export interface ClusterView {
  readonly position: Position
  /** The system identifier as decimal text; empty while the first node bootstraps; undefined when absent. */
  readonly initialize: Versioned<string> | undefined
  /** The dynamic configuration; undefined when the key is absent or no JSON object. */
  readonly config: Versioned<JsonObject> | undefined
  /** Revision of the config key even when its value is malformed. */
  readonly configModRevision: bigint | undefined
  readonly leader: LeaderKey | undefined
  readonly members: ReadonlyMap<string, Member>
  readonly status: Status
  readonly statusModRevision: bigint | undefined
  readonly sync: Versioned<SyncState> | undefined
  /** Revision of the sync key even when its value means "off". */
  readonly syncModRevision: bigint | undefined
  readonly request: Versioned<FailoverRequest> | undefined
  readonly requestModRevision: bigint | undefined
  readonly history: Versioned<readonly HistoryLine[]> | undefined
  readonly historyModRevision: bigint | undefined
  readonly failsafe: Readonly<Record<string, string>> | undefined
  /** Keys below `pgherd/`, relative to it. */
  readonly own: ReadonlyMap<string, KeyValue>
}

/** Parses all keys of a scope. Never throws: a malformed value counts as absent. */
export function parseView(position: Position, keys: readonly KeyValue[]): ClusterView {
  const byKey = new Map(keys.map(kv => [kv.key, kv]))
  const leader = byKey.get('leader')
  // Agents before 2.1.0 publish only the position, under another key; a bare number is a status, too.
  const status = byKey.get('status') ?? byKey.get('optime/leader')
  return {
    position,
    initialize: versioned(byKey.get('initialize'), value => value.trim()),
    config: versioned(byKey.get('config'), parseJsonObject),
    configModRevision: byKey.get('config')?.modRevision,
    leader: leader === undefined ? undefined : parseLeader(leader),
    members: parseMembers(keys),
    status: status === undefined ? emptyStatus : parseStatus(status.value),
    statusModRevision: byKey.get('status')?.modRevision,
    sync: versioned(byKey.get('sync'), parseSync),
    syncModRevision: byKey.get('sync')?.modRevision,
    request: versioned(byKey.get('failover'), parseRequest),
    requestModRevision: byKey.get('failover')?.modRevision,
    history: versioned(byKey.get('history'), parseHistory),
    historyModRevision: byKey.get('history')?.modRevision,
    failsafe: parseFailsafe(byKey.get('failsafe')?.value),
    own: new Map(keys.filter(kv => kv.key.startsWith('pgherd/')).map(kv => [kv.key.slice(7), kv])),
  }
}

function versioned<T>(
  kv: KeyValue | undefined,
  parse: (value: string) => T | undefined,
): Versioned<T> | undefined {
  const value = kv === undefined ? undefined : parse(kv.value)
  if (kv === undefined || value === undefined) return undefined
  return { value, createRevision: kv.createRevision, modRevision: kv.modRevision }
}

/** Reads the leader key: a bare member name. */
export function parseLeader(kv: KeyValue): LeaderKey {
  return {
    name: kv.value,
    createRevision: kv.createRevision,
    modRevision: kv.modRevision,
    leaseId: kv.leaseId,
  }
}

function parseMembers(keys: readonly KeyValue[]): ReadonlyMap<string, Member> {
  const members = new Map<string, Member>()
  for (const kv of keys) {
    if (!kv.key.startsWith('members/')) continue
    const name = kv.key.slice('members/'.length)
    if (name !== '' && !name.includes('/')) members.set(name, parseMember(name, kv.value, kv.leaseId))
  }
  return members
}

function parseFailsafe(value: string | undefined): Readonly<Record<string, string>> | undefined {
  const fields = value === undefined ? undefined : parseJsonObject(value)
  if (fields === undefined) return undefined
  const urls: Record<string, string> = {}
  for (const [name, url] of Object.entries(fields)) {
    const text = asText(url)
    if (text !== undefined) urls[name] = text
  }
  return urls
}

/** The epoch of the view's leader; undefined while there is none. */
export function epochOf(view: ClusterView): Epoch | undefined {
  const { leader, position } = view
  if (leader === undefined) return undefined
  return { clusterId: position.clusterId, createRevision: leader.createRevision, member: leader.name }
}

/** The leader's own member entry, if both keys exist. */
export function leaderMember(view: ClusterView): Member | undefined {
  return view.leader === undefined ? undefined : view.members.get(view.leader.name)
}
