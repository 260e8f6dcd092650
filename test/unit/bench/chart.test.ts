import assert from 'node:assert/strict'
import test from 'node:test'
import { printChart, USUAL_PATHS } from '../../../bench/chart.ts'
import { printFailovers } from '../../../bench/failover/report.ts'
import type { Run } from '../../../bench/failover/run.ts'
import { figure } from './figure.ts'

test('the picture has one bar for each router and workload, as long as its share of the direct way', () => {
  const svg = printChart(
    [
      figure('direct', 'select, <8> clients', 1),
      figure('haproxy', 'select, <8> clients', 0.5),
      figure('pgherd', 'select, <8> clients', 0.25),
      figure('pgherd', 'memory', Number.NaN),
    ],
    'a & b',
  )
  const widths = [
    ...(svg ?? '').matchAll(
      /<rect x="150" y="\d+" width="([\d.]+)" height="10" fill="([^"]+)"><title>(\w+)/g,
    ),
  ]
  assert.deepEqual(
    widths.map(([, width, , name]) => [name, Number(width)]),
    [
      ['haproxy', 255],
      ['pgherd', 127.5],
    ],
  )
  assert.match(svg ?? '', /a &amp; b/)
  assert.match(svg ?? '', /select, &lt;8&gt; clients/)
  assert.doesNotMatch(svg ?? '', /memory/)
})

test('the picture for the README has pgherd once, as it runs unless told otherwise', () => {
  const svg = printChart(
    [
      figure('haproxy', 'bulk up', 0.5),
      figure('pgherd', 'bulk up', 0.25),
      figure('pgherd, handles', 'bulk up', 0.75),
      figure('pgherd, threads', 'bulk up', 1),
    ],
    'title',
    USUAL_PATHS,
  )
  const bars = [...(svg ?? '').matchAll(/width="([\d.]+)" height="10" fill="[^"]+"><title>([^<]+)</g)]
  assert.deepEqual(
    bars.map(([, width, name]) => [name, Number(width)]),
    [
      ['HAProxy, bulk up', 255],
      ['pgherd, bulk up', 382.5],
    ],
  )
  assert.deepEqual(
    [...(svg ?? '').matchAll(/y="33\.0"[^>]*>([^<]+)</g)].map(([, label]) => label),
    ['HAProxy', 'pgbouncer', 'pgherd'],
  )
})

test('there is no picture of nothing', () => {
  assert.equal(printChart([figure('pgherd', 'memory', Number.NaN)], 'title'), undefined)
})

test('the report of failovers has the middle and the 95th of a hundred, and the phases that the proxy told', () => {
  const runs = [1, 2, 3].map(
    (run): Run => ({
      kind: 'both',
      run,
      backMs: run * 1000,
      stallMs: run * 1100,
      cut: { ms: run, sessions: 99 + run },
      phases: { total: run, last_good_to_key_gone: 1, lock: 0.1 * run, promote: 0.2, routed: 0 },
      failed: 0,
    }),
  )
  const text = printFailovers(runs, ['both', 'switchover'])
  assert.match(
    text,
    /^\| agent and server are killed \| 3 \| 2\.00 \/ 3\.00 \| 2\.20 \/ 3\.30 \| 101 \/ 102 \| 2\.0 \/ 3\.0 \| last good to key gone 1\.00 \/ 1\.00, lock 0\.20 \/ 0\.30, promote 0\.20 \/ 0\.20, routed 0\.00 \/ 0\.00 \|$/m,
  )
  assert.match(text, /^\| switchover \| 0 \| - \|/m)
  assert.match(text, /\n\nPhases and cuts exist only where a leader is retired, /)
})
