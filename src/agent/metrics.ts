// What the agent counts, registered once per process. Names and meanings: docs/metrics.md.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { StorageWord } from '../postgres/storage-check.ts'
import type { AgentMetrics } from './parts.ts'

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** What is read at each scrape. */
export interface AgentGauges {
  readonly leaseLeftSeconds: () => number
  /** Does a watchdog watch over this machine? */
  readonly isWatched: () => boolean
  readonly unansweredSeconds: () => number
  /** Undefined while nobody knows. */
  readonly storage: () => StorageWord | undefined
  /** State of each logical slot that the cluster keeps. */
  readonly logicalSlots: () => ReadonlyMap<string, string>
}

/** Registers the agent's metrics. */
export function createAgentMetrics(registry: Registry, gauges: AgentGauges): AgentMetrics {
  const registers = [registry]
  const turns = new Histogram({
    name: 'pgherd_agent_turn_seconds',
    help: 'Duration of a turn of the loop by the rule that spoke last',
    labelNames: ['rule'],
    buckets: SECONDS,
    registers,
  })
  const renewals = new Histogram({
    name: 'pgherd_agent_lease_renewal_seconds',
    help: 'Duration of successful lease renewals',
    buckets: SECONDS,
    registers,
  })
  const fences = new Counter({
    name: 'pgherd_agent_fenced_total',
    help: 'Times that the fence ended the server because the lease ran out',
    registers,
  })
  const tasks = new Histogram({
    name: 'pgherd_agent_task_seconds',
    help: 'Duration of long actions by kind and result',
    labelNames: ['kind', 'result'],
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
    registers,
  })
  const failsafe = new Counter({
    name: 'pgherd_agent_failsafe_rounds_total',
    help: 'Times that a leader without etcd asked all members to accept it, by result',
    labelNames: ['result'],
    registers,
  })
  const actions = new Counter({
    name: 'pgherd_agent_actions_total',
    help: 'Actions by the rule that ordered them and by how they went',
    labelNames: ['rule', 'action', 'outcome'],
    registers,
  })
  const leaseLeft: Gauge = new Gauge({
    name: 'pgherd_agent_lease_left_seconds',
    help: 'Leadership left by the agent’s own strict clock; 0 when not the leader',
    registers,
    collect: (): void => leaseLeft.set(gauges.leaseLeftSeconds()),
  })
  const unanswered: Gauge = new Gauge({
    name: 'pgherd_agent_server_unanswered_seconds',
    help: 'How long the running server has answered no new connection; 0 while it does',
    registers,
    collect: (): void => unanswered.set(gauges.unansweredSeconds()),
  })
  const storageSilent: Gauge = new Gauge({
    name: 'pgherd_agent_storage_unanswered_seconds',
    help: 'How long the storage of the data directory has not answered a write; 0 while it does',
    registers,
    collect: (): void => storageSilent.set((gauges.storage()?.silentMs ?? 0) / 1000),
  })
  const storageRefuses: Gauge = new Gauge({
    name: 'pgherd_agent_storage_refuses_writes',
    help: '1 while the storage of the data directory refuses writes (full, read-only, lost)',
    registers,
    collect: (): void => storageRefuses.set(gauges.storage()?.refusal === undefined ? 0 : 1),
  })
  const logicalSlots: Gauge = new Gauge({
    name: 'pgherd_agent_logical_slot_ready',
    help: 'Whether the consumer of a logical slot that the cluster keeps can go on at this member: 1 or 0',
    labelNames: ['slot'],
    registers,
    collect: (): void => {
      logicalSlots.reset()
      for (const [slot, state] of gauges.logicalSlots()) logicalSlots.set({ slot }, state === 'ready' ? 1 : 0)
    },
  })
  const callbacks = new Counter({
    name: 'pgherd_agent_callbacks_total',
    help: 'Callbacks that ended, by action and by how they ended',
    labelNames: ['action', 'result'],
    registers,
  })
  const lateProxies = new Counter({
    name: 'pgherd_agent_late_proxies_total',
    help: 'Proxies that did not say in time that they hold new sessions for an ordered change of leader',
    registers,
  })
  const feeds = new Counter({
    name: 'pgherd_agent_watchdog_feeds_total',
    help: 'Times that the watchdog was fed, by result',
    labelNames: ['result'],
    registers,
  })
  const watched: Gauge = new Gauge({
    name: 'pgherd_agent_watchdog_armed',
    help: '1 while a watchdog resets this machine unless this agent feeds it',
    registers,
    collect: (): void => watched.set(gauges.isWatched() ? 1 : 0),
  })
  return {
    callbackEnded: (action, result) => callbacks.inc({ action, result }),
    proxiesLate: count => lateProxies.inc(count),
    watchdogFed: isDone => feeds.inc({ result: isDone ? 'done' : 'failed' }),
    turn: (tookMs, rule) => turns.observe({ rule }, tookMs / 1000),
    leaseRenewed: tookMs => renewals.observe(tookMs / 1000),
    fenced: () => fences.inc(),
    failsafeAsked: isAccepted => failsafe.inc({ result: isAccepted ? 'accepted' : 'refused' }),
    taskEnded: (kind, tookMs, isDone) =>
      tasks.observe({ kind, result: isDone ? 'done' : 'failed' }, tookMs / 1000),
    acted: (rule, action, outcome) => actions.inc({ rule, action, outcome }),
  }
}
