import assert from 'node:assert/strict'
import test from 'node:test'
import { busySeconds } from '../../../bench/cpu.ts'
import { rotated } from '../../../bench/measure.ts'
import { readOptions } from '../../../bench/options.ts'
import { readLog, readReport } from '../../../bench/pgbench.ts'
import { greeting, modeOf, startup } from '../../../bench/raw/protocol.ts'
import { type BenchResult, printReport } from '../../../bench/report.ts'
import type { Sample } from '../../../bench/sample.ts'
import { median, percentile, spread } from '../../../bench/statistics.ts'
import { summarize } from '../../../bench/summary.ts'
import { GROUPS } from '../../../bench/workloads.ts'
import { readFirstPacket } from '../../../src/proxy/startup.ts'

const report = `transaction type: <builtin: select only>
number of transactions actually processed: 37127
number of failed transactions: 0 (0.000%)
latency average = 0.107 ms
initial connection time = 2.480 ms
tps = 37142.506 (without initial connection time)
`

test('a report of pgbench is read, and one with failed transactions is refused', () => {
  assert.deepEqual(readReport(report), { transactions: 37127, tps: 37142.506 })
  assert.throws(() => readReport(report.replace(': 0 (0', ': 3 (0')), /3 transactions failed/)
  assert.throws(() => readReport('nothing'), /pgbench said: nothing/)
})

test('the third field of a log line is the latency', () => {
  assert.deepEqual(readLog('0 199 2241 0 1175850568 995598\n1 3 80 0 1175850569 608\n'), [2241, 80])
})

test('the median is the middle and a percentile a value that occurred', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.equal(percentile([30, 10, 20, 40], 0.5), 20)
  assert.equal(percentile([30, 10, 20, 40], 0.99), 40)
  assert.equal(spread([90, 100, 110]), 0.1)
})

test('each round begins with another path', () => {
  assert.deepEqual(rotated(['a', 'b', 'c'], 0), ['a', 'b', 'c'])
  assert.deepEqual(rotated(['a', 'b', 'c'], 4), ['b', 'c', 'a'])
})

const sample = (path: string, round: number, value: number): Sample => ({
  path,
  workload: 'select, 8 clients',
  round,
  value,
  p50Us: 100,
  p95Us: 200,
  p99Us: 300,
  routerCpu: path === 'direct' ? 0 : 1.5,
  machineCpu: path === 'haproxy' ? 4 : 5,
})

const samples = [
  ...[sample('direct', 1, 200), sample('haproxy', 1, 100), sample('pgherd', 1, 90)],
  ...[sample('direct', 2, 100), sample('haproxy', 2, 50), sample('pgherd', 2, 55)],
  ...[sample('direct', 3, 220), sample('haproxy', 3, 110), sample('pgherd', 3, 99)],
]

test('ratios are taken within a round, so a slow round of the machine moves none of them', () => {
  const pgherd = summarize(samples).find(({ path }) => path === 'pgherd')
  assert.equal(pgherd?.value, 90)
  assert.equal(pgherd?.toHaproxy, 0.9)
  assert.equal(pgherd?.toDirect, 0.45)
  assert.equal(pgherd?.cpuToHaproxy, 1.25)
})

const result: BenchResult = {
  at: '2026-11-24T05:00:00.000Z',
  versions: { pgherd: '0.1.0' },
  machine: { cpus: 2, cpu: 'some', kernel: '6.18', memoryGb: 24 },
  options: {
    clients: [8],
    rounds: 3,
    durationSeconds: 5,
    scale: 10,
    groups: ['select'],
    threads: 1,
    isQuick: false,
  },
  units: { 'select, 8 clients': { unit: 'TPS', cpuUnit: 's/100k', isLowerBetter: false } },
  figures: summarize(samples),
  samples,
}

test('the report is a Markdown table with the ratio of the last run beside the new one', () => {
  const text = printReport(result, result)
  assert.match(
    text,
    /^\| select, 8 clients \| TPS \| spread \| x direct \| x HAProxy \| x HAProxy on 2026-11-24 \|/m,
  )
  assert.match(
    text,
    /^\| pgherd \| 90 \| ± 24 % \| 0\.45 \| 0\.90 \| 0\.90 \| 100\/200\/300 \| 1\.00 \| 1\.50 \| 5\.00 \| 1\.25 \|$/m,
  )
  assert.match(
    text,
    /^\| direct \| 200 \| ± 30 % \| 1\.00 \| 2\.00 \| 2\.00 \| 100\/200\/300 \| 1\.00 \| - \| 5\.00 \| 1\.25 \|$/m,
  )
})

test('the report ends with the goals of what was measured, and whether they are reached', () => {
  assert.match(
    printReport(result),
    /\n\n\| goal \| pgherd \|\n\| --- \| --- \|\n\| TPS, 8 clients >= 1\.00 x HAProxy \| 0\.90 ± 0\.10: no, within the spread \|\n\| p99, 8 clients <= 1\.05 x HAProxy \| 1\.00 ± 0\.00: yes \|\n\| CPU per transaction, 8 clients <= 1\.10 x HAProxy \| 1\.25 ± 0\.00: no \|\n$/,
  )
})

test('without an earlier result the report has no column for it', () => {
  assert.match(printReport(result), /\| x direct \| x HAProxy \| p50/)
})

test('options of the benchmark are checked', () => {
  assert.deepEqual(readOptions(['--quick', '--clients', '2,4'], 'r'), {
    clients: [2, 4],
    rounds: 1,
    durationSeconds: 1,
    scale: 1,
    groups: GROUPS,
    threads: 1,
    isQuick: true,
    isStored: false,
    out: 'r/local',
  })
  const kept = readOptions(['--store'], 'r')
  assert.deepEqual([kept?.out, kept?.isStored], ['r', true])
  assert.throws(() => readOptions(['--store', '--quick'], 'r'), /--quick measures nothing to keep/)
  assert.deepEqual(readOptions(['--only', 'echo,cut'], 'r')?.groups, ['echo', 'cut'])
  assert.equal(readOptions(['--threads', '2'], 'r')?.threads, 2)
  assert.throws(() => readOptions(['--only', 'ehco'], 'r'), /--only: expected idle, .* found ehco/)
  assert.equal(readOptions(['--help'], 'r'), undefined)
  assert.throws(() => readOptions(['--rounds', 'many'], 'r'), /--rounds: expected a whole number/)
})

test('unless told otherwise a benchmark measures 1, 8, 32 and 64 clients, five rounds of five seconds', () => {
  const options = readOptions([], 'results')
  assert.deepEqual(options?.clients, [1, 8, 32, 64])
  assert.deepEqual([options.rounds, options.durationSeconds, options.out], [5, 5, 'results/local'])
})

test('the machine was busy for all that was neither idle nor waiting, interrupts included', () => {
  assert.equal(busySeconds('cpu  100 200 300 9999 8888 40 50 10 77 66\ncpu0 1 1 1 1\n'), 7)
})

test('the raw load says what a router expects of a client, and what the peer is to do', () => {
  for (const mode of ['echo', 'down', 'up'] as const) {
    assert.equal(modeOf(startup(mode)), mode)
    assert.equal(readFirstPacket(startup(mode))?.kind, 'startup')
    assert.equal(modeOf(startup(mode).subarray(0, 20)), undefined)
  }
  assert.equal(greeting.at(-1), 'I'.charCodeAt(0))
})
