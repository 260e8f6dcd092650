// `demo -- --versus`: Debian's Patroni and HAProxy beside ours, the same power cut at the same instant, one table.

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import test, { after } from 'node:test'
import { runProgram } from '../support/run-program.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
/** Two minutes on a quiet machine; one that is busy with other tests needs three times that. */
const WITHIN_MS = 540_000

/** The two cells of a row of the table. */
function row(text: string, name: string): readonly [string, string] {
  const cells = new RegExp(`^ ${name} +\\|(.*)\\|(.*)$`, 'm').exec(text)
  assert.ok(cells, `no row ${name} in\n${text}`)
  return [cells[1]?.trim() ?? '', cells[2]?.trim() ?? '']
}

test('demo --versus: a power cut to both leaders at one instant, and one table of what clients saw', async t => {
  const ran = await runProgram([...work.program, 'demo', '--versus', '--data', work.data], {
    withinMs: WITHIN_MS,
  })
  assert.equal(ran.code, 0, ran.stdout + ran.stderr)
  const [ours, theirs] = row(ran.stdout, 'outage')
  t.diagnostic(`outage: pgherd ${ours}, Patroni and HAProxy ${theirs}`)
  assert.match(ran.stdout, /pgherd +\| Patroni 3\.0\.2 \+ HAProxy 2\.6\.\d+/)
  assert.match(ran.stdout, /the same; etcd3: for etcd:/)
  assert.deepEqual(row(ran.stdout, 'errors 25006')[0], '0')
  assert.deepEqual(row(ran.stdout, 'lost rows')[0], '0')
  for (const name of ['refused', 'lost rows', 'acknowledged']) {
    for (const cell of row(ran.stdout, name)) assert.match(cell, /^[\d,]+$/)
  }
  assert.ok(secondsOf(ours) < secondsOf(theirs), 'a lease of 5 s ends before one of 30 s')
  assert.deepEqual(await readdir(work.data), [], 'nothing is left')
})

function secondsOf(text: string): number {
  const found = /^([\d.]+) (ms|s)$/.exec(text)
  assert.ok(found, text)
  return Number(found[1]) / (found[2] === 'ms' ? 1000 : 1)
}
