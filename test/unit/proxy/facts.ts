// Builders for the facts that routing is decided from.

import type { HostPort, Member, Tags } from '../../../src/cluster/member.ts'
import { parseMember } from '../../../src/cluster/member.ts'
import type { KeyValue, LeaderKey, Position } from '../../../src/cluster/view.ts'
import { defaultFilter } from '../../../src/config/proxy/defaults.ts'
import type { Answer, ProbeResult } from '../../../src/health/document.ts'
import { judge, type MemberHealth, unknownHealth } from '../../../src/health/verdict.ts'
import type { Leadership } from '../../../src/proxy/leadership.ts'
import { unknownLeadership } from '../../../src/proxy/leadership.ts'
import type { PoolSpec } from '../../../src/proxy/pool-members.ts'
import { type Evidence, emptyTable } from '../../../src/proxy/route.ts'

export const CLUSTER = '100'
export const limits = { rise: 1, fall: 2 }
export const timing = { intervalMs: 500, timeoutMs: 500 }

export function position(revision: number, clusterId = CLUSTER): Position {
  return { clusterId, revision: BigInt(revision), raftTerm: 2n }
}

export function leaderKey(name: string, created: number, leaseId = 7, modified = created): LeaderKey {
  return {
    name,
    createRevision: BigInt(created),
    modRevision: BigInt(modified),
    leaseId: BigInt(leaseId),
  }
}

export function leaderKv(name: string, created: number, leaseId = 7, modified = created): KeyValue {
  const { createRevision, modRevision, leaseId: lease } = leaderKey(name, created, leaseId, modified)
  return { key: 'leader', value: name, createRevision, modRevision, leaseId: lease }
}

/** An epoch with its key, seen at 0, with a lease until `leaseUntilMs`. */
export function led(name: string, created: number, changes: Partial<Leadership> = {}): Leadership {
  return {
    ...unknownLeadership,
    clusterId: CLUSTER,
    revision: BigInt(created),
    highest: BigInt(created),
    epoch: { clusterId: CLUSTER, createRevision: BigInt(created), member: name },
    hasKey: true,
    leaseId: 7n,
    leaseUntilMs: 30_000,
    seenAtMs: 0,
    ...changes,
  }
}

export function answer(changes: Partial<Answer> = {}): Answer {
  const sentAtMs = changes.sentAtMs ?? 0
  return {
    sentAtMs,
    receivedAtMs: sentAtMs + 1,
    statusCode: 200,
    role: 'primary',
    state: 'running',
    timeline: 1,
    systemId: '7000000000000000001',
    tags: {},
    leaseLeftMs: undefined,
    location: undefined,
    replayed: undefined,
    replicationState: undefined,
    isSync: false,
    ...changes,
  }
}

export const replica = { statusCode: 503, role: 'replica' } as const

export function answered(changes: Partial<Answer> = {}): ProbeResult {
  return { kind: 'answer', answer: answer(changes) }
}

export function silent(sentAtMs: number): ProbeResult {
  return { kind: 'silent', sentAtMs, why: 'nobody listens' }
}

/** Health after these probes. */
export function healthAfter(...results: readonly ProbeResult[]): MemberHealth {
  return results.reduce((health, result) => judge(health, result, limits, timing), unknownHealth)
}

export function memberOf(name: string, changes: Readonly<Record<string, unknown>> = {}): Member {
  const number = Number(name.replace(/\D/g, '')) || 9
  const value = {
    conn_url: `postgres://10.0.0.${number}:5432/postgres`,
    api_url: `http://10.0.0.${number}:8008/patroni`,
    state: 'running',
    role: 'replica',
    ...changes,
  }
  return parseMember(name, JSON.stringify(value), BigInt(number))
}

/** What is known of a member besides its answers; its address is that of `memberOf`. */
export function placed(name: string, tags: Tags = {}): { readonly tags: Tags; readonly address: HostPort } {
  return { tags, address: { host: `10.0.0.${Number(name.replace(/\D/g, '')) || 9}`, port: 5432 } }
}

/** The same for several without tags. */
export function membersNamed(...names: readonly string[]): ReadonlyMap<string, ReturnType<typeof placed>> {
  return new Map(names.map(name => [name, placed(name)]))
}

/** A pool of replicas named `read`. */
export const readPool: PoolSpec = {
  name: 'read',
  kind: 'replica',
  filter: defaultFilter,
  servers: [],
  allBackups: false,
}

/** Evidence with nothing special in it, besides the changes. */
export function evidenceOf(changes: Partial<Evidence>): Evidence {
  return {
    nowMs: 0,
    leadership: unknownLeadership,
    members: new Map(),
    health: new Map(),
    pools: [readPool],
    checks: new Map(),
    sync: undefined,
    lags: new Map(),
    pings: new Map(),
    needsPing: false,
    onDcsLoss: 'keep',
    isStoreSilent: false,
    isClosing: false,
    previous: emptyTable,
    ...changes,
  }
}
