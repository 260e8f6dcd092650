// The process's metrics registry. Names begin with `pgherd_`, units are base units (`_seconds`, `_bytes`, `_total`).

import { collectDefaultMetrics, Registry } from 'prom-client'

/** A fresh registry with Node's own process metrics in it. One per process, handed to the parts that count. */
export function createRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'pgherd_' })
  return registry
}
