// docs/metrics.md against what the parts really register.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { Registry } from 'prom-client'
import { createAgentMetrics } from '../../../src/agent/metrics.ts'
import { createApiCounts } from '../../../src/api/counts.ts'
import { createDcsMetrics } from '../../../src/dcs/metrics.ts'
import { registerLogMetrics } from '../../../src/platform/log-metrics.ts'
import { createRegistry } from '../../../src/platform/metrics.ts'
import { registerGauges } from '../../../src/proxy/admin/gauges.ts'
import type { StatusParts } from '../../../src/proxy/admin/status.ts'
import { createProxyMetrics } from '../../../src/proxy/metrics.ts'
import { createVipMetrics } from '../../../src/vip/metrics.ts'
import { createVrrpMetrics } from '../../../src/vip/vrrp/metrics.ts'

const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/metrics.md'), 'utf8')
const ROW = /^\| `(pgherd_\w+)` \| (\w+) \|([^|]*)\|/gm

interface Described {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
}

const described: readonly Described[] = [...page.matchAll(ROW)].map(
  ([, name = '', type = '', labels = '']) => ({
    name,
    type,
    labels: labels
      .split(',')
      .map(label => label.trim())
      .filter(label => label !== ''),
  }),
)

interface Registered {
  readonly name: string
  readonly type: string
  readonly labelNames: readonly string[]
}

async function registered(): Promise<readonly Registered[]> {
  const registry = new Registry()
  createAgentMetrics(registry, {
    leaseLeftSeconds: () => 0,
    isWatched: () => false,
    unansweredSeconds: () => 0,
    storage: () => undefined,
    logicalSlots: () => new Map(),
  })
  createApiCounts(registry, () => 0)
  createDcsMetrics(registry)
  registerLogMetrics(registry, () => ({ queued: 0, lost: 0 }))
  createProxyMetrics(registry)
  createVipMetrics(registry, () => [])
  createVrrpMetrics(registry, () => [])
  registerGauges(registry, {} as StatusParts)
  const names = registry.getMetricsAsArray().map(metric => metric.name)
  return names.map(name => {
    // The label names are there, but not in the library's types.
    const metric = registry.getSingleMetric(name) as unknown as {
      readonly labelNames: readonly string[]
      readonly constructor: { readonly name: string }
    }
    return { name, type: metric.constructor.name.toLowerCase(), labelNames: metric.labelNames }
  })
}

test('every metric that we register is described, and nothing else is', async () => {
  const names = (await registered()).map(({ name }) => name)
  assert.deepEqual(described.map(({ name }) => name).sort(), names.sort())
})

test('type and labels of every metric are described as they are', async () => {
  for (const { name, type, labelNames } of await registered()) {
    const row = described.find(each => each.name === name)
    assert.equal(row?.type, type, name)
    assert.deepEqual(row?.labels, [...labelNames], name)
  }
})

test('metrics of the process that the page names exist', () => {
  const names = createRegistry()
    .getMetricsAsArray()
    .map(metric => metric.name)
  const section = page.slice(page.indexOf('## Process'), page.indexOf('## Worth'))
  const named = [...section.matchAll(/`(pgherd_\w+_\w+)`/g)].map(match => match[1] ?? '')
  assert.ok(named.length >= 5)
  for (const name of named) assert.ok(names.includes(name), name)
})

test('every condition of an alert names a metric that exists', () => {
  const section = page.slice(page.indexOf('## Worth'))
  const named = [...section.matchAll(/pgherd_\w+/g)].map(match => match[0])
  assert.ok(named.length >= 5)
  for (const name of named)
    assert.ok(
      described.some(each => each.name === name),
      name,
    )
})
