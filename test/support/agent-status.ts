// Builders of what the agent knows and of cluster views, for tests of those who read them.

import type { AgentStatus } from '../../src/api/agent-port.ts'
import { type ClusterView, type KeyValue, parseView } from '../../src/cluster/view.ts'
import { dynamicConfig } from '../../src/config/agent/dynamic.ts'
import type { ServerFacts } from '../../src/postgres/port.ts'

export const somePosition = { clusterId: '14841639068965178418', revision: 100n, raftTerm: 2n }

/** A view of these keys, each written at its own revision. */
export function viewOf(keys: Readonly<Record<string, string>>): ClusterView {
  const kvs: KeyValue[] = Object.entries(keys).map(([key, value], index) => ({
    key,
    value,
    createRevision: BigInt(index + 1),
    modRevision: BigInt(index + 10),
    leaseId: 0n,
  }))
  return parseView(somePosition, kvs)
}

export const standbyFacts: ServerFacts = {
  role: 'replica',
  systemId: '7254783641903459839',
  timeline: 3,
  serverVersion: 150018,
  postmasterStartTime: '2026-11-24 04:05:06.123456+00:00',
  writeLsn: undefined,
  receivedLsn: 0x3000100n,
  replayedLsn: 0x3000000n,
  replayedTimestamp: '2026-11-24 05:00:00.000001+00:00',
  isReplayPaused: false,
  latestEndLsn: undefined,
  replicationState: 'streaming',
  senders: [],
  synchronous: undefined,
  slots: [],
  isRestartPending: false,
}

export const primaryFacts: ServerFacts = {
  ...standbyFacts,
  role: 'primary',
  writeLsn: 0x3000200n,
  receivedLsn: undefined,
  replayedLsn: undefined,
  replayedTimestamp: undefined,
  replicationState: undefined,
  senders: [
    {
      username: 'repl',
      applicationName: 'pg2',
      clientAddress: '10.0.0.2',
      state: 'streaming',
      syncState: 'async',
      syncPriority: 0,
      writeLsn: 0x5000000n,
      replayLsn: 0x5000000n,
      flushLsn: 0x3000100n,
    },
  ],
}

/** Three members, pg1 leads, at position 0/3000000 (hex) as published. */
export const threeMembers: Readonly<Record<string, string>> = {
  initialize: '7254783641903459839',
  config: '{"ttl":30,"loop_wait":10,"retry_timeout":10}',
  leader: 'pg1',
  status: '{"optime":50331648}',
  'members/pg1':
    '{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","state":"running","role":"primary","xlog_location":50331648,"timeline":3}',
  'members/pg2':
    '{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni","state":"running","role":"replica","xlog_location":50331648,"receive_lsn":50331648,"replay_lsn":50331000,"replication_state":"streaming","timeline":3}',
  'members/pg3':
    '{"conn_url":"postgres://10.0.0.3:5432/postgres","api_url":"http://10.0.0.3:8008/patroni","state":"starting","role":"replica"}',
}

/** A healthy streaming replica, pg2 of `threeMembers`; override what a test is about. */
export function replicaStatus(over: Partial<AgentStatus> = {}): AgentStatus {
  return {
    takenAtMs: 1_000,
    name: 'pg2',
    scope: 'main',
    state: 'running',
    role: 'replica',
    facts: standbyFacts,
    leaseLeftMs: 0,
    isPaused: false,
    tags: {},
    view: viewOf(threeMembers),
    dcsLastSeenWallMs: 1_795_000_000_500,
    config: dynamicConfig({}, true),
    nextTurnAtMs: 11_000,
    isRestartPending: false,
    isFailsafeActive: false,
    pendingReasons: {},
    scheduledRestart: undefined,
    pgherd: { version: '0.1.0' },
    ...over,
  }
}

/** The leader, pg1 of `threeMembers`. */
export function leaderStatus(over: Partial<AgentStatus> = {}): AgentStatus {
  return replicaStatus({ name: 'pg1', role: 'primary', facts: primaryFacts, leaseLeftMs: 25_000.7, ...over })
}
