import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { readOptions } from '../../../bench/failover/options.ts'
import { storeRuns } from '../../../bench/failover/report.ts'
import type { Run } from '../../../bench/failover/run.ts'
import { leftOut, readOptions as readBenchOptions } from '../../../bench/options.ts'
import { type BenchResult, drawPicture, latestResult, storeResult } from '../../../bench/report.ts'
import { figure } from './figure.ts'

async function directory(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'pgherd-bench-store-'))
  t.after(() => rm(made, { recursive: true }))
  return made
}

const run: Run = {
  kind: 'switchover',
  run: 1,
  backMs: 900,
  stallMs: 950,
  cut: undefined,
  phases: undefined,
  failed: 0,
}

test('runs of failovers are kept where results are, and are told from them', async t => {
  const results = await directory(t)
  for (const [name, at] of [
    ['2026-11-25T010203.json', 'the older one'],
    ['2026-11-26T010203.json', 'the newer one'],
  ] as const)
    await writeFile(path.join(results, name), JSON.stringify({ at, units: {} }))
  const file = await storeRuns([run], readOptions(['--store'], results)?.out ?? '')
  assert.match(path.relative(results, file), /^failover-\d{4}-\d\d-\d\dT\d{6}\.json$/)
  const stored = JSON.parse(await readFile(file, 'utf8')) as {
    runs: readonly Run[]
    machine: { cpus: number }
  }
  assert.equal(stored.runs[0]?.backMs, 900)
  assert.ok(stored.machine.cpus > 0)
  assert.equal((await latestResult(results))?.at, 'the newer one')
})

test('unless they are to be kept, runs of failovers lie beside the results that are not', () => {
  assert.equal(readOptions([], 'results')?.out, 'results/local')
  assert.equal(readOptions(['--store'], 'results')?.out, 'results')
  assert.equal(readOptions(['--store', '--out', 'elsewhere'], 'results')?.out, 'elsewhere')
})

/** What a run with these arguments found: one figure that can be drawn. */
function resultOf(args: readonly string[], at: string): BenchResult {
  const options = readBenchOptions(args, 'results')
  assert.ok(options !== undefined)
  return {
    at,
    versions: {},
    machine: { cpus: 2 },
    options,
    units: {},
    figures: [figure('haproxy', 'select, 8 clients', 0.5)],
    samples: [],
  }
}

test('a run is whole when it measures every group at every usual number of clients', () => {
  const without = (args: readonly string[]) => leftOut(resultOf(args, '').options)
  assert.deepEqual(without(['--store', '--rounds', '3']), [])
  assert.deepEqual(without(['--clients', '64,32,8,2,1']), [])
  assert.deepEqual(without(['--only', 'select,idle,cut,tls,copy,echo']), ['bulk', 'connects'])
  assert.deepEqual(without(['--clients', '8,32']), ['1 clients', '64 clients'])
})

test('later runs are compared with whole runs only: a partial one has a name of its own', async t => {
  const results = await directory(t)
  const whole = await storeResult(resultOf([], '2026-11-25T01:02:03.000Z'), results)
  const partial = await storeResult(resultOf(['--only', 'select'], '2026-11-26T01:02:03.000Z'), results)
  assert.deepEqual(
    [whole, partial].map(file => path.basename(file)),
    ['2026-11-25T010203.json', 'partial-2026-11-26T010203.json'],
  )
  assert.equal((await latestResult(results))?.at, '2026-11-25T01:02:03.000Z')
})

test('the picture for the README is drawn from a whole run only, and what was left out is told', async t => {
  const picture = path.join(await directory(t), 'bench.svg')
  assert.match(
    await drawPicture(resultOf([], '2026-11-25T01:02:03.000Z'), picture),
    /is drawn anew: .*bench\.svg$/,
  )
  const drawn = await readFile(picture, 'utf8')
  const said = await drawPicture(resultOf(['--only', 'select'], '2026-11-26T01:02:03.000Z'), picture)
  assert.match(
    said,
    /bench\.svg.* stays as it was.* partial run, without idle, cut, tls, copy, echo, bulk, connects/,
  )
  assert.equal(await readFile(picture, 'utf8'), drawn)
})
