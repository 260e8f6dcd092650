// The proxy's counters. Gauges are read from the parts themselves when somebody scrapes.

import { Counter, Gauge, type Registry } from 'prom-client'

/** What listeners count. */
export interface ProxyMetrics {
  accepted(listener: string): void
  held(listener: string): void
  turnedAway(listener: string): void
  denied(listener: string): void
  ended(listener: string, why: string, toServerBytes: number, toClientBytes: number): void
}

/** Registers the counters. Call once per registry. */
export function createProxyMetrics(registry: Registry): ProxyMetrics {
  const registers = [registry]
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name: `pgherd_proxy_${name}`, help, labelNames, registers })
  const accepted = counter('accepted_total', 'Client connections accepted', 'listener')
  const held = counter('held_total', 'Sessions that had to wait for a backend', 'listener')
  const turnedAway = counter('turned_away_total', 'Clients beyond the limit of sessions', 'listener')
  const denied = counter('denied_total', 'Clients kept out by their address or rate', 'listener')
  const ended = counter('sessions_ended_total', 'Sessions that ended, by reason', 'listener', 'reason')
  const bytes = counter('bytes_total', 'Bytes of ended sessions', 'listener', 'direction')
  return {
    accepted: listener => accepted.inc({ listener }),
    held: listener => held.inc({ listener }),
    turnedAway: listener => turnedAway.inc({ listener }),
    denied: listener => denied.inc({ listener }),
    ended: (listener, reason, toServerBytes, toClientBytes) => {
      ended.inc({ listener, reason })
      if (toServerBytes > 0) bytes.inc({ listener, direction: 'to_server' }, toServerBytes)
      if (toClientBytes > 0) bytes.inc({ listener, direction: 'to_client' }, toClientBytes)
    },
  }
}

/** One series of a gauge. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Registers a gauge whose series are asked for at each scrape. */
export function gaugeOf(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => readonly Sample[],
): void {
  new Gauge({
    name: `pgherd_proxy_${name}`,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset()
      for (const { labels, value } of read()) this.set({ ...labels }, value)
    },
  })
}

/** Registers a counter, `_total` is added, that somebody else counts. */
export function counterOf(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name: `pgherd_proxy_${name}_total`,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}
