// The proxy's counters. Gauges are read from the parts themselves when somebody scrapes.

import { Counter, Gauge, type Registry } from 'prom-client'

/** What listeners count. */
export interface ProxyMetrics {
  accepted(listener: string): void
  held(listener: string): void
  turnedAway(listener: string): void
  denied(listener: string): void
  cancelDropped(listener: string): void
  ended(listener: string, why: string, toServerBytes: number, toClientBytes: number): void
}

/** Registers the counters. Call once per registry. */
export function createProxyMetrics(registry: Registry): ProxyMetrics {
  const tally = (name: string, help: string, label?: string) =>
    new Tally(registry, `pgherd_proxy_${name}`, help, label)
  const accepted = tally('accepted_total', 'Client connections accepted')
  const held = tally('held_total', 'Sessions that had to wait for a backend')
  const turnedAway = tally('turned_away_total', 'Clients beyond the limit of sessions')
  const denied = tally('denied_total', 'Clients kept out by their address or rate')
  const cancelsDropped = tally('cancels_dropped_total', 'Cancel requests beyond their rate or their number')
  const ended = tally('sessions_ended_total', 'Sessions that ended, by reason', 'reason')
  const bytes = tally('bytes_total', 'Bytes of ended sessions', 'direction')
  return {
    accepted: listener => accepted.add(1, listener),
    held: listener => held.add(1, listener),
    turnedAway: listener => turnedAway.add(1, listener),
    denied: listener => denied.add(1, listener),
    cancelDropped: listener => cancelsDropped.add(1, listener),
    ended: (listener, reason, toServerBytes, toClientBytes) => {
      ended.add(1, listener, reason)
      if (toServerBytes > 0) bytes.add(toServerBytes, listener, 'to_server')
      if (toClientBytes > 0) bytes.add(toClientBytes, listener, 'to_client')
    },
  }
}

/**
 * A counter by listener and perhaps one more label. A session counts five times, and the library puts the labels into a text
 * each time: so it is told the sums when somebody scrapes.
 */
class Tally {
  readonly #sums = new Map<string, Map<string, number>>()

  constructor(registry: Registry, name: string, help: string, label?: string) {
    const sums = this.#sums
    new Counter({
      name,
      help,
      labelNames: label === undefined ? ['listener'] : ['listener', label],
      registers: [registry],
      collect() {
        this.reset()
        for (const [listener, values] of sums)
          for (const [value, sum] of values)
            this.inc(label === undefined ? { listener } : { listener, [label]: value }, sum)
      },
    })
  }

  /** `value`: of the second label. */
  add(count: number, listener: string, value = ''): void {
    const values = this.#sums.get(listener) ?? new Map<string, number>()
    if (values.size === 0) this.#sums.set(listener, values)
    values.set(value, (values.get(value) ?? 0) + count)
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
