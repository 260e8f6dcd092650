import assert from 'node:assert/strict'
import test from 'node:test'
import { Registry } from 'prom-client'
import { createDcsMetrics } from '../../../src/dcs/metrics.ts'

test('calls, renewals and watches are counted under names that begin with pgherd_dcs_', async () => {
  const registry = new Registry()
  const metrics = createDcsMetrics(registry)
  metrics.call('write', '10.0.0.4:2379', 'ok', 0.002)
  metrics.call('write', '10.0.0.4:2379', 'unanswered', 1.5)
  metrics.keepAlive('won', 0.003)
  metrics.watchRestart('10.0.0.4:2379')
  metrics.watchStale()
  const text = await registry.metrics()
  for (const line of [
    'pgherd_dcs_calls_total{call="write",endpoint="10.0.0.4:2379",result="ok"} 1',
    'pgherd_dcs_calls_total{call="write",endpoint="10.0.0.4:2379",result="unanswered"} 1',
    'pgherd_dcs_call_seconds_count{endpoint="10.0.0.4:2379"} 2',
    'pgherd_dcs_keepalive_seconds_count{outcome="won"} 1',
    'pgherd_dcs_watch_restarts_total{endpoint="10.0.0.4:2379"} 1',
    'pgherd_dcs_watch_stale_total 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), `${line} is missing in\n${text}`)
  }
})
