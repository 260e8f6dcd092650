// Two thousand worlds. `npm run sim -- --seed X` shows one of them again.

import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import test from 'node:test'
import { printCounts, printFailure, shortfalls } from './report.ts'
import { runSeeds } from './runner.ts'

const SEEDS = 2_000

test(`${SEEDS} worlds keep every promise, and enough happens in them`, async t => {
  const startedMs = performance.now()
  const outcome = await runSeeds({
    from: 1,
    count: SEEDS,
    processes: Math.min(2, availableParallelism()),
    failuresMax: 5,
  })
  t.diagnostic(`${outcome.seeds} seeds in ${Math.round((performance.now() - startedMs) / 1000)} s`)
  for (const line of printCounts(outcome.counts).split('\n')) t.diagnostic(line)
  assert.deepEqual(outcome.failures.map(printFailure), [])
  assert.deepEqual(shortfalls(outcome), [])
})
