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
  const counter = (name: string, help: string, ...labelNames: string[]): Counter =>
    new Counter({ name: `pgherd_proxy_${name}`, help, labelNames, registers })
  const byListener = (name: string, help: string) => seriesOf(counter(name, help, 'listener'), ['listener'])
  const accepted = byListener('accepted_total', 'Client connections accepted')
  const held = byListener('held_total', 'Sessions that had to wait for a backend')
  const turnedAway = byListener('turned_away_total', 'Clients beyond the limit of sessions')
  const denied = byListener('denied_total', 'Clients kept out by their address or rate')
  const ended = seriesOf(
    counter('sessions_ended_total', 'Sessions that ended, by reason', 'listener', 'reason'),
    ['listener', 'reason'],
  )
  const bytes = seriesOf(counter('bytes_total', 'Bytes of ended sessions', 'listener', 'direction'), [
    'listener',
    'direction',
  ])
  return {
    accepted: listener => accepted(listener).inc(),
    held: listener => held(listener).inc(),
    turnedAway: listener => turnedAway(listener).inc(),
    denied: listener => denied(listener).inc(),
    ended: (listener, reason, toServerBytes, toClientBytes) => {
      ended(listener, reason).inc()
      if (toServerBytes > 0) bytes(listener, 'to_server').inc(toServerBytes)
      if (toClientBytes > 0) bytes(listener, 'to_client').inc(toClientBytes)
    },
  }
}

/** The series of a counter by the values of its labels, each looked up once: a session counts five times. */
function seriesOf(
  counter: Counter,
  labelNames: readonly string[],
): (...values: readonly string[]) => Counter.Internal {
  const known = new Map<string, Counter.Internal>()
  return (...values) => {
    const key = values.join(' ')
    const there = known.get(key)
    if (there !== undefined) return there
    const labels = Object.fromEntries(labelNames.map((name, index) => [name, values[index] ?? '']))
    const made = counter.labels(labels)
    known.set(key, made)
    return made
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
