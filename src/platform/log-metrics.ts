// How the log fares, as metrics. Names and meanings: docs/metrics.md.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { LogHealth } from './log.ts'

/** Registers them; `health` is asked at each scrape. */
export function registerLogMetrics(registry: Registry, health: () => LogHealth): void {
  const registers = [registry]
  const lost: Counter = new Counter({
    name: 'pgherd_log_lines_lost_total',
    help: 'Lines of the log that were given up: the disk or the reader was too slow, or did not take them',
    registers,
    collect: (): void => {
      // The log itself counts, and its count never falls.
      lost.reset()
      lost.inc(health().lost)
    },
  })
  const queued: Gauge = new Gauge({
    name: 'pgherd_log_lines_queued',
    help: 'Lines of the log that wait to be written',
    registers,
    collect: (): void => queued.set(health().queued),
  })
}
