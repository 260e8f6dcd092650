// What the REST server counts. Names and meanings: docs/metrics.md.

import { Counter, Gauge, type Registry } from 'prom-client'

export interface ApiCounts {
  /** A call that changes something was answered; `call` is one of a fixed set. */
  action(call: string, code: number): void
  /** A connection was cut or refused before it had asked for anything. */
  dropped(): void
}

/** Registers the metrics; `connections` is read at each scrape. */
export function createApiCounts(registry: Registry, connections: () => number): ApiCounts {
  const registers = [registry]
  const actions = new Counter({
    name: 'pgherd_api_actions_total',
    help: 'Calls that change something, or tried to, by call and status code',
    labelNames: ['call', 'code'],
    registers,
  })
  const drops = new Counter({
    name: 'pgherd_api_dropped_connections_total',
    help: 'Connections that were cut or refused before they had asked for anything: too many, or too slow',
    registers,
  })
  const open: Gauge = new Gauge({
    name: 'pgherd_api_connections',
    help: 'Connections to the REST server now',
    registers,
    collect: (): void => open.set(connections()),
  })
  return { action: (call, code) => actions.inc({ call, code }), dropped: () => drops.inc() }
}
