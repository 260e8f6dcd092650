// Two thousand worlds. `npm run sim -- --seed X` shows one of them again.

import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import test from 'node:test'
import { printCounts, printFailure, shortfalls } from './report.ts'
import { runSeeds } from './runner.ts'
import { tracesOf } from './traces-of.ts'

const SEEDS = 2_000
const FAILURES_MAX = 50

/** Worlds that break a check, with the check: told in every run, and a failure once they are mended. */
const OPEN: ReadonlyMap<number, string> = new Map()

test(`${SEEDS} worlds break no check beyond the open ones, and enough happens in them`, async t => {
  const startedMs = performance.now()
  const outcome = await runSeeds({
    from: 1,
    count: SEEDS,
    processes: Math.min(2, availableParallelism()),
    failuresMax: FAILURES_MAX,
  })
  t.diagnostic(`${outcome.seeds} seeds in ${Math.round((performance.now() - startedMs) / 1000)} s`)
  for (const line of printCounts(outcome.counts).split('\n')) t.diagnostic(line)
  const isOpen = ({ seed, check }: { seed: number; check: string }) => OPEN.get(seed) === check
  const open = outcome.failures.filter(isOpen)
  for (const { seed, says } of open)
    t.diagnostic(`open: seed ${seed}, ${says}: npm run sim -- --seed ${seed}`)
  const broken = outcome.failures.filter(failure => !isOpen(failure))
  for (const line of (await tracesOf(broken)).flatMap(text => text.split('\n'))) t.diagnostic(line)
  assert.deepEqual(broken.map(printFailure), [])
  assert.deepEqual(
    [...OPEN.keys()].filter(seed => !open.some(failure => failure.seed === seed)),
    [],
    'mended: no longer open',
  )
  assert.deepEqual(shortfalls(outcome), [])
})
