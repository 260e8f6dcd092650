// Builds snapshots for rule tests: a healthy three-node cluster, changed by what the row is about.

import type { Memory, PeerAnswer, Snapshot } from '../../../src/agent/snapshot.ts'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import type { Member } from '../../../src/cluster/member.ts'
import { parseMember } from '../../../src/cluster/member.ts'
import { type ClusterView, type KeyValue, parseView } from '../../../src/cluster/view.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import type { Sender, ServerFacts, ServerStatus } from '../../../src/postgres/port.ts'

export const SYSTEM_ID = '7300000000000000001'
export const OUR_LEASE = 77n

export function facts(changes: Partial<ServerFacts> = {}): ServerFacts {
  return {
    role: 'replica',
    systemId: SYSTEM_ID,
    timeline: 1,
    serverVersion: 150018,
    postmasterStartTime: '2026-11-24 04:00:00.000000+00:00',
    writeLsn: changes.role === 'primary' ? 1000n : undefined,
    receivedLsn: changes.role === 'primary' ? undefined : 1000n,
    replayedLsn: changes.role === 'primary' ? undefined : 1000n,
    replayedTimestamp: undefined,
    isReplayPaused: false,
    latestEndLsn: undefined,
    replicationState: changes.role === 'primary' ? undefined : 'streaming',
    senders: [],
    slots: [],
    synchronous:
      changes.role === 'primary' ? { names: '', flushLsn: 1000n, isCheckpointerAtRest: true } : undefined,
    isRestartPending: false,
    ...changes,
  }
}

export const running = (changes: Partial<ServerFacts> = {}): ServerStatus => ({
  process: 'running',
  dataDirectory: 'initialized',
  postmasterPid: 4711,
  facts: facts(changes),
  isAnswering: true,
  trouble: undefined,
})

/** One standby in pg_stat_replication. */
export function sender(name: string, changes: Partial<Sender> = {}): Sender {
  return {
    username: 'repl',
    applicationName: name,
    clientAddress: undefined,
    state: 'streaming',
    syncState: 'async',
    syncPriority: 0,
    writeLsn: 1000n,
    flushLsn: 1000n,
    replayLsn: 1000n,
    ...changes,
  }
}

/** A primary from which these stream. */
export const streamedBy = (...names: readonly string[]): ServerStatus =>
  running({ role: 'primary', senders: names.map(name => sender(name)) })

export const down = (changes: Partial<ServerStatus> = {}): ServerStatus => ({
  process: 'stopped',
  dataDirectory: 'initialized',
  postmasterPid: undefined,
  facts: undefined,
  isAnswering: false,
  trouble: undefined,
  ...changes,
})

/** Keys of a scope: `leader` names who holds it and on which lease; undefined leaves the key out. */
export interface ViewSpec {
  readonly leader?: string | undefined
  readonly leaderLease?: bigint
  readonly epoch?: bigint
  readonly initialize?: string | undefined
  readonly roles?: Readonly<Record<string, string>>
  readonly tags?: Readonly<Record<string, object>>
  readonly timelines?: Readonly<Record<string, number>>
  readonly failover?: string
  readonly history?: string
  readonly status?: string
  readonly sync?: string
  readonly failsafe?: string
  readonly positions?: Readonly<Record<string, number>>
  /** Of ours: follows the leader because the member that its tag names sends nothing. */
  readonly givenUp?: readonly string[]
  /** Members that run this program. */
  readonly ours?: readonly string[]
  /** What their keys say of the program: a version of Patroni. */
  readonly versions?: Readonly<Record<string, string>>
  readonly replicationStates?: Readonly<Record<string, string>>
  readonly states?: Readonly<Record<string, string>>
  readonly config?: string | undefined
  readonly members?: readonly string[]
}

/** The text of a `sync` key; `standbys` separated by commas. */
export const sync = (leader: string, standbys: string | null, votes = 0): string =>
  JSON.stringify({ leader, quorum: votes, sync_standby: standbys })

export function view(spec: ViewSpec = {}): ClusterView {
  const names = spec.members ?? ['pg1', 'pg2', 'pg3']
  const keys: KeyValue[] = names.map(name => kv(`members/${name}`, memberValue(name, spec), 5n))
  const leader = 'leader' in spec ? spec.leader : 'pg1'
  if (leader !== undefined) {
    const epoch = spec.epoch ?? 100n
    keys.push({
      key: 'leader',
      value: leader,
      createRevision: epoch,
      modRevision: epoch,
      leaseId: spec.leaderLease ?? 5n,
    })
  }
  const initialize = 'initialize' in spec ? spec.initialize : SYSTEM_ID
  if (initialize !== undefined) keys.push(kv('initialize', initialize))
  const config = 'config' in spec ? spec.config : '{"ttl":30}'
  if (config !== undefined) keys.push(kv('config', config))
  if (spec.failover !== undefined) keys.push(kv('failover', spec.failover))
  if (spec.history !== undefined) keys.push(kv('history', spec.history))
  if (spec.status !== undefined) keys.push(kv('status', spec.status))
  if (spec.sync !== undefined) keys.push(kv('sync', spec.sync))
  if (spec.failsafe !== undefined) keys.push(kv('failsafe', spec.failsafe))
  return parseView({ clusterId: 'c1', revision: 500n, raftTerm: 2n }, keys)
}

function kv(key: string, value: string, leaseId = 0n): KeyValue {
  return { key, value, createRevision: 10n, modRevision: 10n, leaseId }
}

function memberValue(name: string, spec: ViewSpec): string {
  const number = name.replace(/\D/g, '')
  const role = spec.roles?.[name] ?? (name === 'pg1' ? 'primary' : 'replica')
  return JSON.stringify({
    conn_url: `postgres://10.0.0.${number}:5432/postgres`,
    api_url: `http://10.0.0.${number}:8008/patroni`,
    state: spec.states?.[name] ?? 'running',
    role,
    timeline: role === 'uninitialized' ? undefined : (spec.timelines?.[name] ?? 1),
    replication_state: spec.replicationStates?.[name],
    version: spec.versions?.[name],
    xlog_location: spec.positions?.[name],
    ...(spec.ours?.includes(name) === true ? { pgherd: ownFields(name, spec) } : {}),
    tags: spec.tags?.[name] ?? {},
  })
}

function ownFields(name: string, { givenUp }: ViewSpec): object {
  return { version: '0.1.0', ...(givenUp?.includes(name) === true ? { follows_leader: true } : {}) }
}

export function member(name: string): Member {
  return parseMember(name, memberValue(name, {}), 5n)
}

export function peer(name: string, changes: Partial<PeerAnswer> = {}): PeerAnswer {
  return {
    name,
    isReachable: true,
    isPrimary: false,
    walPosition: 1000n,
    timeline: 1,
    isStreaming: false,
    isOurs: true,
    mayLead: true,
    failoverPriority: 1,
    watchdogFailed: false,
    ...changes,
  }
}

/** The configuration in force with these keys. */
export const config = (raw: object): Snapshot['config'] => dynamicConfig({ ...raw }, true)

/** pg2's look at a healthy cluster led by pg1. */
export function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    nowMs: 1_000_000,
    wallMs: Date.parse('2026-11-24T04:00:00Z'),
    self: {
      name: 'pg2',
      scope: 'pgsql',
      address: { host: '10.0.0.2', port: 5432 },
      tags: {},
      canBootstrap: true,
      usePgRewind: true,
      removeOnRewindFailure: false,
      removeOnDivergence: false,
      synchronousCommit: 'on',
    },
    config: dynamicConfig({}, true),
    view: view(),
    ageMs: 600_000,
    failsafe: { isLeading: false, promisedTo: undefined },
    leaderlessMs: 0,
    server: running(),
    silentMs: 0,
    systemId: SYSTEM_ID,
    synchronousNames: { isKnown: true, names: undefined },
    isFollowingLeader: true,
    isFollowingNobody: false,
    task: undefined,
    lease: { hold: undefined, leftMs: 0, leaseId: OUR_LEASE, isFencing: false },
    watchdog: { mode: 'off', isArmed: false, lack: undefined, isHealthy: true },
    peers: undefined,
    divergence: undefined,
    acquired: undefined,
    ...changes,
  }
}

/** The lease state of a member that holds the leader key. */
export const holding: Snapshot['lease'] = {
  hold: { name: 'pg2', createRevision: 100n, modRevision: 100n, leaseId: OUR_LEASE },
  leftMs: 20_000,
  leaseId: OUR_LEASE,
  isFencing: false,
}

/** The view of a cluster that pg2 leads. */
export const ledByUs = (spec: ViewSpec = {}): ClusterView =>
  view({ leader: 'pg2', leaderLease: OUR_LEASE, roles: { pg1: 'replica', pg2: 'primary' }, ...spec })

export const settled: Memory = { ...firstMemory, isSettled: true, role: 'replica', cleanAgainst: 100n }
