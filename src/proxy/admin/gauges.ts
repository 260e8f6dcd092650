// Gauges over the proxy's present state.

import type { Registry } from 'prom-client'
import { unknownHealth } from '../../health/verdict.ts'
import { counterOf, gaugeOf, type Sample } from '../metrics.ts'
import { sessionStates } from '../session-state.ts'
import { roleOf, type StatusParts } from './status.ts'

const RELAYS = ['handle', 'net']
const ROLES = ['leader', 'leaving', 'replica', 'none']

/** Registers them. Call once per registry. */
export function registerGauges(registry: Registry, parts: StatusParts): void {
  const { router } = parts
  registerSessionGauges(registry, parts)
  gaugeOf(registry, 'relay', 'What moves the bytes of sessions: 1 for its kind', ['kind'], () =>
    RELAYS.map(kind => sample({ kind }, kind === parts.relay ? 1 : 0)),
  )
  gaugeOf(registry, 'thread_sessions', 'Sessions that a worker thread carries', ['thread'], () =>
    (parts.threads?.sessions ?? []).map(({ thread, sessions }) => sample({ thread: `${thread}` }, sessions)),
  )
  counterOf(registry, 'thread_deaths', 'Worker threads that died', () => parts.threads?.deathsTotal ?? 0)
  counterOf(
    registry,
    'thread_missed',
    'Clients closed because the control thread could not deal with them',
    () => parts.threads?.missedTotal ?? 0,
  )
  const members = () => [...router.members.values()]
  gaugeOf(registry, 'member_role', 'What a member takes: 1 for its role', ['member', 'role'], () =>
    members().flatMap(member =>
      ROLES.map(role => sample({ member: member.name, role }, roleOf(member, router) === role ? 1 : 0)),
    ),
  )
  gaugeOf(registry, 'member_up', 'Does the member answer and its server run', ['member'], () =>
    members().map(({ name }) =>
      sample({ member: name }, (router.health.get(name) ?? unknownHealth).counter.isUp ? 1 : 0),
    ),
  )
  gaugeOf(registry, 'backend_sessions', 'Sessions on a server', ['member'], () =>
    members().map(({ name }) => sample({ member: name }, router.backends.get(name)?.sessions.size ?? 0)),
  )
  gaugeOf(registry, 'evidence_left_seconds', 'Time until the last evidence for the leader ends', [], () => [
    sample({}, evidenceLeftSeconds(parts)),
  ])
  gaugeOf(
    registry,
    'last_cut_seconds',
    'From the word that ended a leader to the end of its last session',
    [],
    () => (parts.totals.lastCutMs === undefined ? [] : [sample({}, parts.totals.lastCutMs / 1000)]),
  )
  gaugeOf(registry, 'epoch_revision', 'create_revision of the leader key', [], () => [
    sample({}, Number(router.leadership.epoch?.createRevision ?? 0n)),
  ])
  gaugeOf(registry, 'store_silent_seconds', 'Time since the store answered; 0 while it does', [], () => [
    sample({}, (parts.storeSilentMs() ?? 0) / 1000),
  ])
}

function registerSessionGauges(registry: Registry, { listeners }: StatusParts): void {
  gaugeOf(registry, 'sessions', 'Sessions by state', ['listener', 'state'], () =>
    listeners.flatMap(({ config, sessions }) => {
      const states = [...sessions].map(session => session.state)
      return sessionStates.map(state =>
        sample({ listener: config.name, state }, states.filter(one => one === state).length),
      )
    }),
  )
  gaugeOf(registry, 'sessions_max', 'Limit of sessions', ['listener'], () =>
    listeners.map(({ config, sessionsMax }) => sample({ listener: config.name }, sessionsMax)),
  )
  gaugeOf(registry, 'held', 'Sessions that wait for a backend', ['listener'], () =>
    listeners.map(({ config, hold }) => sample({ listener: config.name }, hold.size)),
  )
}

function evidenceLeftSeconds({ router, clock }: StatusParts): number {
  const { write } = router.table
  return write === undefined ? 0 : Math.max(0, write.untilMs - clock.monotonicMs()) / 1000
}

function sample(labels: Readonly<Record<string, string>>, value: number): Sample {
  return { labels, value }
}
