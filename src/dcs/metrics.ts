// What the store's clients count. An interface, so that tests and short-lived commands count nothing.

import { Counter, Histogram, type Registry } from 'prom-client'

/** How one request to one endpoint ended; `ok` is any answer, `overtaken` given up because another one answered. */
export type CallResult =
  | 'ok'
  | 'overtaken'
  | 'not-sent'
  | 'unanswered'
  | 'rejected'
  | 'lease-gone'
  | 'auth'
  | 'stale'

export interface DcsMetrics {
  /** One attempt of a call at one endpoint. */
  call(what: string, endpoint: string, result: CallResult, seconds: number): void
  /** A watch stream ended and is opened again. */
  watchRestart(endpoint: string): void
  /** The watch asked its reader to read everything again. */
  watchStale(): void
  /** A whole lease renewal, hedges included. */
  keepAlive(outcome: string, seconds: number): void
  /** A call took long, answered or not. */
  slowCall(what: string, endpoint: string): void
  /** Another endpoint is preferred now. */
  endpointChange(endpoint: string): void
  /** A write was refused because what it compared had changed. */
  refusedCompare(): void
  /** All of etcd was replaced, or restored from a backup. */
  restored(): void
  /** A token was asked for: ok, off, or the kind of fault. */
  authentication(result: string): void
}

export const noDcsMetrics: DcsMetrics = {
  call: () => {},
  watchRestart: () => {},
  watchStale: () => {},
  keepAlive: () => {},
  slowCall: () => {},
  endpointChange: () => {},
  refusedCompare: () => {},
  restored: () => {},
  authentication: () => {},
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Registers the store's metrics. Call once per registry. */
export function createDcsMetrics(registry: Registry): DcsMetrics {
  const registers = [registry]
  const calls = new Counter({
    name: 'pgherd_dcs_calls_total',
    help: 'Requests to etcd by call, endpoint and result',
    labelNames: ['call', 'endpoint', 'result'],
    registers,
  })
  const callSeconds = new Histogram({
    name: 'pgherd_dcs_call_seconds',
    help: 'Time until an etcd endpoint answered or was given up',
    labelNames: ['endpoint'],
    buckets: SECONDS,
    registers,
  })
  const restarts = new Counter({
    name: 'pgherd_dcs_watch_restarts_total',
    help: 'Watch streams that ended and were opened again',
    labelNames: ['endpoint'],
    registers,
  })
  const stale = new Counter({
    name: 'pgherd_dcs_watch_stale_total',
    help: 'Times that the watch asked its reader to read everything again',
    registers,
  })
  const keepAlives = new Histogram({
    name: 'pgherd_dcs_keepalive_seconds',
    help: 'Time of a lease renewal by outcome',
    labelNames: ['outcome'],
    buckets: SECONDS,
    registers,
  })
  const rarely = createRareMetrics(registers)
  return {
    ...rarely,
    call: (call, endpoint, result, seconds) => {
      calls.inc({ call, endpoint, result })
      callSeconds.observe({ endpoint }, seconds)
    },
    watchRestart: endpoint => restarts.inc({ endpoint }),
    watchStale: () => stale.inc(),
    keepAlive: (outcome, seconds) => keepAlives.observe({ outcome }, seconds),
  }
}

/** What stands still while etcd is well. */
function createRareMetrics(registers: Registry[]) {
  const slow = new Counter({
    name: 'pgherd_dcs_slow_calls_total',
    help: 'Requests to etcd that took longer than half a second, answered or not',
    labelNames: ['call', 'endpoint'],
    registers,
  })
  const changes = new Counter({
    name: 'pgherd_dcs_endpoint_changes_total',
    help: 'Times that another etcd endpoint became the preferred one',
    labelNames: ['endpoint'],
    registers,
  })
  const refused = new Counter({
    name: 'pgherd_dcs_refused_compares_total',
    help: 'Writes that etcd refused because what they compared had changed',
    registers,
  })
  const restores = new Counter({
    name: 'pgherd_dcs_restores_total',
    help: 'Times that etcd was found replaced or restored from a backup',
    registers,
  })
  const authentications = new Counter({
    name: 'pgherd_dcs_authentications_total',
    help: 'Tokens asked of etcd by result',
    labelNames: ['result'],
    registers,
  })
  return {
    slowCall: (call: string, endpoint: string) => slow.inc({ call, endpoint }),
    endpointChange: (endpoint: string) => changes.inc({ endpoint }),
    refusedCompare: () => refused.inc(),
    restored: () => restores.inc(),
    authentication: (result: string) => authentications.inc({ result }),
  }
}
