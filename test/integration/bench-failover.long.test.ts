// The benchmark of failovers runs: every fault is struck, told and stored. What the figures are is not looked at.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import type { Run } from '../../bench/failover/run.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { makeWorkplace } from '../support/workplace.ts'

const MAIN = path.resolve(import.meta.dirname, '../../bench/failover/main.ts')
const WITHIN_MS = 300_000

const work = await makeWorkplace({ after })

test('a short benchmark of failovers strikes each fault once, and prints and stores what a writer saw', async t => {
  const out = path.join(work.data, 'results')
  const words = [MAIN, '--runs', '1', '--sessions', '5', '--out', out]
  const by = Deadline.in(realClock, WITHIN_MS)
  const { code, stdout, stderr } = await runChild(process.execPath, words, { by, env: process.env })
  assert.equal(code, 0, stderr)
  const [file] = await readdir(out)
  const { runs } = JSON.parse(await readFile(path.join(out, file ?? ''), 'utf8')) as {
    readonly runs: readonly Run[]
  }
  assert.deepEqual(
    runs.map(({ kind }) => kind),
    ['postmaster', 'both', 'switchover'],
  )
  for (const run of runs) assert.ok(run.backMs > 0 && run.stallMs > 0, JSON.stringify(run))
  for (const { kind, phases } of runs)
    assert.equal(
      phases !== undefined,
      kind !== 'postmaster',
      `the proxy tells the phases of a change: ${kind}`,
    )
  for (const title of ['the postmaster is killed', 'agent and server are killed', 'switchover'])
    assert.match(stdout, new RegExp(`^\\| ${title} \\| 1 \\| [\\d.]+ / [\\d.]+ \\|`, 'm'))
  t.diagnostic(stdout)
})
