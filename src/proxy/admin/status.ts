// What the proxy knows and does, as one JSON document: for ctl, the status page and scripts. Described in docs/proxy.md.

import type { Epoch } from '../../cluster/epoch.ts'
import type { Event } from '../../cluster/event.ts'
import { type Json, type JsonObject, printJson } from '../../cluster/json.ts'
import { printBind } from '../../config/proxy/types.ts'
import { unknownHealth } from '../../health/verdict.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Listener } from '../listener.ts'
import type { RosterMember } from '../roster.ts'
import type { Router } from '../router.ts'
import { sessionStates } from '../session-state.ts'

/** The parts that the document is read from. */
export interface StatusParts {
  readonly clock: Clock
  readonly name: string
  readonly version: string
  readonly scope: () => string
  readonly startedAtMs: number
  readonly router: Router
  readonly listeners: readonly Listener[]
  readonly events: { last(count: number): readonly Event[] }
  readonly storeKind: 'etcd' | 'patroni'
  readonly storeSilentMs: () => number | undefined
}

const EVENTS_SHOWN = 50

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
    write:
      write === undefined
        ? null
        : {
            member: write.epoch.member,
            takes_new: write.takesNew,
            evidence_left_ms: left(write.untilMs, nowMs),
          },
    reads,
    waiting_because: write?.takesNew === true ? null : router.explain(),
    store: { kind: parts.storeKind, silent_ms: rounded(parts.storeSilentMs()) },
    members: [...router.members.values()].map(member => memberStatus(member, router, nowMs)),
    listeners: listeners.map(listenerStatus),
    events: parts.events.last(EVENTS_SHOWN).map(printedEvent),
  }
}

/** The document as text. */
export function printStatus(parts: StatusParts): string {
  return printJson(readStatus(parts))
}

function memberStatus(member: RosterMember, router: Router, nowMs: number): JsonObject {
  const { name, address, apiUrl } = member
  const { answer, counter, silence, probedAtMs, leadsUntilMs } = router.health.get(name) ?? unknownHealth
  const backend = router.backends.get(name)
  return {
    name,
    address: `${address.host}:${address.port}`,
    api_url: apiUrl ?? null,
    role: roleOf(member, router),
    server_role: answer?.role ?? null,
    state: answer?.state ?? null,
    timeline: answer?.timeline ?? null,
    is_up: counter.isUp,
    silence: silence ?? null,
    probe_age_ms: probedAtMs === undefined ? null : Math.round(nowMs - probedAtMs),
    leads_left_ms: left(leadsUntilMs, nowMs),
    has_key: member.absentSinceMs === undefined,
    tags: member.tags,
    sessions: backend?.sessions.size ?? 0,
    sessions_started: backend?.startedTotal ?? 0,
    connect_failures: backend?.connectFailuresTotal ?? 0,
  }
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
    bind: printBind(config.bind),
    pool: config.pool,
    sessions: sessions.size,
    sessions_max: sessionsMax,
    held: hold.size,
    held_max: config.onNoBackend.heldMax,
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
