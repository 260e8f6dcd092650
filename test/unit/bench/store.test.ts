import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { readOptions } from '../../../bench/failover/options.ts'
import { storeRuns } from '../../../bench/failover/report.ts'
import type { Run } from '../../../bench/failover/run.ts'
import { latestResult } from '../../../bench/report.ts'

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
