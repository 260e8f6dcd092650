// What the proxy knows and does, as one JSON document: for ctl, the status page and scripts.

import type { Epoch } from '../../cluster/epoch.ts'
import type { Event } from '../../cluster/event.ts'
import { type Json, type JsonObject, printJson } from '../../cluster/json.ts'
import { printBinds } from '../../config/proxy/types.ts'
import { unknownHealth } from '../../health/verdict.ts'
import type { Clock } from '../../platform/clock.ts'
import { explainRead, explainWrite } from '../explain.ts'
import type { Listener } from '../listener.ts'
import type { RosterMember } from '../roster.ts'
import type { Router } from '../router.ts'
import { sessionStates } from '../session-state.ts'
import type { Threads } from '../threads/threads.ts'

/** The parts that the document is read from. */
export interface StatusParts {
  /** The kind of the transport. */
  readonly relay: string
  /** Worker threads, where there are any. */
  readonly threads?: Pick<Threads, 'sessions' | 'deathsTotal' | 'missedTotal'>
  readonly clock: Clock
  readonly name: string
  readonly version: string
  readonly scope: () => string
  readonly startedAtMs: number
  readonly router: Router
  readonly listeners: readonly Listener[]
  readonly totals: { readonly lastCutMs?: number }
  readonly events: { last(count: number): readonly Event[] }
  readonly storeKind: 'etcd' | 'patroni' | 'static'
  readonly storeSilentMs: () => number | undefined
  /** Virtual addresses, one document each. */
  readonly vips?: () => readonly JsonObject[]
}

const EVENTS_SHOWN = 50
const SESSIONS_SHOWN = 1000

/** The document of this instant. */
export function readStatus(parts: StatusParts): JsonObject {
  const { clock, router, listeners } = parts
  const nowMs = clock.monotonicMs()
  const { write, reads } = router.table
  return {
    proxy: {
      name: parts.name,
      version: parts.version,
      scope: parts.scope(),
      uptime_ms: Math.round(nowMs - parts.startedAtMs),
    },
    epoch: printedEpoch(router.leadership.epoch),
    has_leader_key: router.leadership.hasKey,
    lease_left_ms: left(router.leadership.leaseUntilMs, nowMs),
    write:
      write === undefined
        ? null
        : {
            member: write.epoch.member,
            takes_new: write.takesNew,
            evidence_left_ms: left(write.untilMs, nowMs),
          },
    reads,
    closing: router.evidence().isClosing,
    pools: listeners.map(listener => poolStatus(listener, router)),
    waiting_because: write?.takesNew === true ? null : router.explain(),
    store: { kind: parts.storeKind, silent_ms: rounded(parts.storeSilentMs()) },
    members: [...router.members.values()].map(member => memberStatus(member, router, nowMs)),
    listeners: listeners.map(listenerStatus),
    vips: parts.vips?.() ?? [],
    events: parts.events.last(EVENTS_SHOWN).map(printedEvent),
  }
}

/** The document as text. */
export function printStatus(parts: StatusParts): string {
  return printJson(readStatus(parts))
}

/** Each pool of reads with why its members are in it or not. */
function poolStatus({ config }: Listener, router: Router): JsonObject {
  const { name, pool, balance, fallback } = config
  const evidence = router.evidence()
  const spec = evidence.pools.find(one => one.name === name)
  if (spec === undefined)
    return { listener: name, pool, members: writersOf(router), balance: null, fallback: null }
  const names =
    pool === 'servers' ? spec.servers.map(server => server.name) : [...evidence.members.keys()].sort()
  return {
    listener: name,
    pool,
    balance: balance.kind,
    fallback,
    members: router.table.pools.get(name) ?? [],
    why: Object.fromEntries(names.map(one => [one, explainRead(one, spec, evidence)])),
  }
}

function writersOf({ table }: Router): readonly string[] {
  return table.write?.takesNew === true ? [table.write.epoch.member] : []
}

/** Everything that speaks for or against one server, as lines; undefined for a name that nobody has. */
export function explainBackend(
  name: string,
  { router, listeners }: StatusParts,
): readonly string[] | undefined {
  const member = router.members.get(name)
  if (member === undefined) return undefined
  const evidence = router.evidence()
  const { host, port } = member.address
  const reads = evidence.pools
    .filter(pool => pool.kind !== 'servers' || pool.servers.some(server => server.name === name))
    .map(pool => `listener ${pool.name}: ${explainRead(name, pool, evidence)}`)
  const hasWriters = listeners.some(({ config }) => config.pool === 'leader')
  return [
    `${name} at ${host}:${port}: ${roleOf(member, router)}`,
    ...(hasWriters ? explainWrite(name, evidence).map(line => `writes: ${line}`) : []),
    ...reads,
  ]
}

/** The live sessions, at most `limit` of them. */
export function readSessions({ clock, listeners }: StatusParts, limit = SESSIONS_SHOWN): JsonObject {
  const nowMs = clock.monotonicMs()
  const all = listeners.flatMap(({ sessions }) => [...sessions])
  const sessions = all.slice(0, limit).map(session => {
    const counters = session.counters()
    return {
      id: session.id,
      listener: session.listener,
      source: session.source,
      state: session.state,
      server: session.backend?.name ?? null,
      is_idle: session.isIdle,
      is_fallback: session.isFallback,
      to_server_bytes: counters?.toServerBytes ?? 0,
      to_client_bytes: counters?.toClientBytes ?? 0,
      quiet_ms: counters === undefined ? null : Math.round(nowMs - counters.lastActivityMs),
    }
  })
  return { sessions, left_out: all.length - sessions.length }
}

function memberStatus(member: RosterMember, router: Router, nowMs: number): JsonObject {
  const { name, address, apiUrl } = member
  const { answer, counter, silence, unsureSinceMs, probedAtMs, leadsUntilMs, avoidUntilMs, refusals } =
    router.health.get(name) ?? unknownHealth
  const backend = router.backends.get(name)
  return {
    name,
    address: `${address.host}:${address.port}`,
    api_url: apiUrl ?? null,
    role: roleOf(member, router),
    server_role: answer?.role ?? null,
    // What its agent says now; role and timeline are the last that it knew.
    state: unsureSinceMs === undefined ? (answer?.state ?? null) : 'unknown',
    timeline: answer?.timeline ?? null,
    is_up: counter.isUp,
    silence: silence ?? null,
    probe_age_ms: probedAtMs === undefined ? null : Math.round(nowMs - probedAtMs),
    leads_left_ms: left(leadsUntilMs, nowMs),
    ping: pingStatus(router, name, nowMs),
    lag: lagStatus(router, name),
    refusals,
    // After a refused connection it is left alone for so long.
    avoid_left_ms: avoidUntilMs > nowMs ? left(avoidUntilMs, nowMs) : null,
    has_key: member.absentSinceMs === undefined,
    tags: member.tags,
    sessions: backend?.sessions.size ?? 0,
    sessions_started: backend?.startedTotal ?? 0,
    connect_failures: backend?.connectFailuresTotal ?? 0,
  }
}

function pingStatus(router: Router, name: string, nowMs: number): Json {
  const ping = router.evidence().pings.get(name)
  return ping === undefined ? null : { answer: ping.answer, age_ms: Math.round(nowMs - ping.sentAtMs) }
}

function lagStatus(router: Router, name: string): Json {
  const lag = router.evidence().lags.get(name)
  return lag === undefined ? null : { bytes: lag.bytes, ms: Math.round(lag.ms) }
}

/** `leader`: takes new write sessions. `leaving`: keeps old ones only. `replica`: takes reads. `none`: takes nothing. */
export function roleOf({ name }: { readonly name: string }, router: Router): string {
  const { write, reads } = router.table
  if (write?.epoch.member === name) return write.takesNew ? 'leader' : 'leaving'
  return reads.includes(name) ? 'replica' : 'none'
}

function listenerStatus(listener: Listener): JsonObject {
  const { config, sessions, hold, sessionsMax, acceptedTotal } = listener
  const states: Record<string, number> = {}
  for (const state of sessionStates) states[state] = 0
  for (const session of sessions) states[session.state] = (states[session.state] ?? 0) + 1
  return {
    name: config.name,
    bind: printBinds(config.binds),
    pool: config.pool,
    sessions: sessions.size,
    sessions_max: sessionsMax,
    held: hold.size,
    held_max: config.onNoBackend.heldMax,
    queued: listener.queue.size,
    taken: listener.taken,
    denied: listener.deniedTotal,
    is_listening: listener.isListening,
    accepted: acceptedTotal,
    states,
  }
}

function printedEvent(event: Event): JsonObject {
  const { id, wallMs, kind, says, rule, facts } = event
  return {
    id,
    time: new Date(wallMs).toISOString(),
    kind,
    says,
    rule: rule ?? null,
    epoch: printedEpoch(event.epoch),
    facts,
  }
}

function printedEpoch(epoch: Epoch | undefined): Json {
  if (epoch === undefined) return null
  return { cluster_id: epoch.clusterId, create_revision: epoch.createRevision, member: epoch.member }
}

function left(untilMs: number, nowMs: number): number | null {
  return Number.isFinite(untilMs) ? Math.max(0, Math.round(untilMs - nowMs)) : null
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms)
}
