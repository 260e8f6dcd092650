// The benchmark runs: every path carries statements and is in the report. What the figures are is not looked at.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after, type TestContext } from 'node:test'
import type { BenchResult } from '../../bench/report.ts'
import type { Figures } from '../../bench/summary.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { makeWorkplace } from '../support/workplace.ts'

const MAIN = path.resolve(import.meta.dirname, '../../bench/main.ts')
const PATHS = ['direct', 'haproxy', 'pgbouncer', 'pgherd', 'pgherd, handles']
const THREADS = 'pgherd, threads'
const WITHIN_MS = 240_000

const work = await makeWorkplace({ after })

async function quick(
  t: TestContext,
  words: readonly string[],
): Promise<{ readonly stdout: string; readonly result: BenchResult }> {
  const out = path.join(work.data, words.join(''))
  const by = Deadline.in(realClock, WITHIN_MS)
  const all = [MAIN, '--quick', ...words, '--out', out]
  const { code, stdout, stderr } = await runChild(process.execPath, all, { by, env: process.env })
  assert.equal(code, 0, stderr)
  const [file] = await readdir(out)
  const result = JSON.parse(await readFile(path.join(out, file ?? ''), 'utf8')) as BenchResult
  t.diagnostic(
    result.figures
      .filter(({ path: name }) => name.startsWith('pgherd'))
      .map(({ path: name, workload, value, toHaproxy }) => {
        return `${workload}, ${name}: ${value.toFixed(0)}, ${(toHaproxy ?? Number.NaN).toFixed(2)} x HAProxy`
      })
      .join('; '),
  )
  return { stdout, result }
}

/** Figures that were measured; JSON has null for what was not. */
function assertFinite(figures: Figures, names: readonly (keyof Figures)[]): void {
  for (const name of names) {
    const figure = figures[name]
    assert.ok(Number.isFinite(figure) && Number(figure) > 0, `${name} of ${JSON.stringify(figures)}`)
  }
}

test('a quick benchmark measures every path with and without a server, and prints and stores the comparison', async t => {
  const { stdout, result } = await quick(t, ['--only', 'select,echo,idle', '--clients', '2'])
  assert.deepEqual(
    result.figures.filter(({ workload }) => workload === 'select, 2 clients').map(({ path: name }) => name),
    PATHS,
  )
  const names = new Set(result.figures.map(({ workload }) => workload))
  const raw = ['memory of 200 idle sessions', 'echo, 1 sessions', 'echo, 32 sessions']
  for (const name of raw) assert.ok(names.has(name), [...names].join())
  for (const figures of result.figures.filter(({ workload }) => !workload.startsWith('memory'))) {
    assertFinite(figures, ['value', 'toDirect', 'toHaproxy', 'p99Us'])
    assert.equal(figures.routerCpu > 0, figures.path !== 'direct', JSON.stringify(figures))
  }
  for (const name of PATHS) assert.match(stdout, new RegExp(`^\\| ${name} \\| \\d+ \\| ±`, 'm'))
})

test('a quick benchmark with threads measures a cut, TLS, COPY, both ways of bulk and connects', async t => {
  const { result } = await quick(t, ['--only', 'cut,tls,copy,bulk,connects', '--threads', '2'])
  const sql = [...PATHS, THREADS]
  const raw = sql.filter(name => name !== 'pgbouncer')
  const expected: Readonly<Record<string, readonly string[]>> = {
    'cut of 200 sessions': raw.filter(name => name !== 'direct'),
    'select in TLS, 8 clients': raw,
    'COPY out': sql,
    'bulk down': raw,
    'bulk up': raw,
    'connects, 8 at a time': raw,
  }
  const measured = Object.groupBy(result.figures, ({ workload }) => workload)
  assert.deepEqual(
    Object.fromEntries(Object.entries(measured).map(([name, all = []]) => [name, all.map(one => one.path)])),
    expected,
  )
  for (const figures of result.figures) {
    assertFinite(figures, ['value', 'toHaproxy'])
    if (figures.workload.startsWith('cut')) continue
    assertFinite(figures, ['toDirect', 'machineCpu', 'cpuToHaproxy'])
    assert.equal(figures.routerCpu > 0, figures.path !== 'direct', JSON.stringify(figures))
    if (/TLS|connects/.test(figures.workload)) assertFinite(figures, ['p50Us', 'p99Us', 'p99ToHaproxy'])
  }
})
