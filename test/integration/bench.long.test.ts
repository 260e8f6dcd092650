// The benchmark runs: every path carries statements and is in the report. What the figures are is not looked at.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import type { BenchResult } from '../../bench/report.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { makeWorkplace } from '../support/workplace.ts'

const MAIN = path.resolve(import.meta.dirname, '../../bench/main.ts')
const PATHS = ['direct', 'haproxy', 'pgbouncer', 'pgherd', 'pgherd, handles']
const WITHIN_MS = 150_000

const work = await makeWorkplace({ after })

test('a quick benchmark measures every path with and without a server, and prints and stores the comparison', async t => {
  const out = path.join(work.data, 'results')
  const words = [MAIN, '--quick', '--only', 'select,echo,idle', '--clients', '2', '--out', out]
  const by = Deadline.in(realClock, WITHIN_MS)
  const { code, stdout, stderr } = await runChild(process.execPath, words, { by, env: process.env })
  assert.equal(code, 0, stderr)
  const [file] = await readdir(out)
  const result = JSON.parse(await readFile(path.join(out, file ?? ''), 'utf8')) as BenchResult
  assert.deepEqual(
    result.figures.filter(({ workload }) => workload === 'select, 2 clients').map(({ path: name }) => name),
    PATHS,
  )
  const names = new Set(result.figures.map(({ workload }) => workload))
  const raw = ['memory of 200 idle sessions', 'echo, 1 sessions', 'echo, 32 sessions']
  for (const name of raw) assert.ok(names.has(name), [...names].join())
  for (const figures of result.figures.filter(({ workload }) => !workload.startsWith('memory'))) {
    for (const figure of [figures.value, figures.toDirect, figures.toHaproxy, figures.p99Us]) {
      assert.ok(Number.isFinite(figure) && figure > 0, JSON.stringify(figures))
    }
    assert.equal(figures.routerCpu > 0, figures.path !== 'direct', JSON.stringify(figures))
  }
  for (const name of PATHS) assert.match(stdout, new RegExp(`^\\| ${name} \\| \\d+ \\| ±`, 'm'))
  t.diagnostic(
    result.figures
      .filter(({ path: name }) => name.startsWith('pgherd'))
      .map(({ path: name, workload, value, toHaproxy }) => {
        return `${workload}, ${name}: ${value.toFixed(0)}, ${(toHaproxy ?? Number.NaN).toFixed(2)} x HAProxy`
      })
      .join('; '),
  )
})
