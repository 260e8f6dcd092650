import assert from 'node:assert/strict'
import test from 'node:test'
import { printComparison, type Side, type Terms } from '../../../src/demo/show/versus-table.ts'
import { matchSnapshot } from '../../support/snapshot.ts'

const ours: Side = {
  name: 'pgherd',
  outageMs: 5_912,
  readOnly: 0,
  refused: 0,
  broken: 4,
  lost: 0,
  doubled: 0,
  acknowledged: 1_234,
}
const theirs: Side = {
  name: 'Patroni 3.0.2 + HAProxy 2.6.12',
  outageMs: 33_740,
  readOnly: 17,
  refused: 1_042,
  broken: 9,
  lost: 3,
  doubled: 1,
  acknowledged: 987,
}
const CHECKS = { intervalMs: 3_000, fall: 3, rise: 2 }
const demo: Terms = {
  ttl: 5,
  loop_wait: 1,
  retry_timeout: 1,
  synchronous_mode: 'quorum',
  synchronous_mode_strict: true,
}
const article: Terms = { ttl: 30, loop_wait: 10, retry_timeout: 10 }

function cellsOf(lines: readonly string[], name: string): readonly string[] {
  const row = lines.find(line => line.startsWith(` ${name} `)) ?? assert.fail(`no row ${name}`)
  return row
    .split('|')
    .slice(1)
    .map(cell => cell.trim())
}

test('the comparison of a power cut is one table of settings and figures', async () => {
  const lines = printComparison('kill', [ours, theirs], [demo, article], CHECKS)
  await matchSnapshot('versus-table', lines.map(line => `${line}\n`).join(''))
})

test('the table says what each side was really deployed with', () => {
  const short = printComparison('kill', [ours, theirs], [demo, article], CHECKS)
  assert.deepEqual(cellsOf(short, 'lease'), ['ttl 5 (short), loop 1, retry 1', 'ttl 30, loop 10, retry 10'])
  assert.deepEqual(cellsOf(short, 'commits'), ['synchronous_mode quorum, strict', 'asynchronous'])
  const same = printComparison('freeze', [ours, theirs], [{ ...demo, ttl: 30 }, article], CHECKS)
  assert.deepEqual(cellsOf(same, 'lease'), ['ttl 30, loop 1, retry 1', 'ttl 30, loop 10, retry 10'])
  assert.match(same.join('\n'), /the same ttl of 30 s/)
  assert.doesNotMatch(same.join('\n'), /--ttl|short/)
})

test('every column is as wide in the figures as in the settings', () => {
  const lines = printComparison('kill', [ours, theirs], [demo, article], CHECKS)
  const bars = lines
    .filter(line => line.includes('|'))
    .map(line => [line.indexOf('|'), line.lastIndexOf('|')])
  assert.equal(bars.length, 12)
  for (const bar of bars) assert.deepEqual(bar, bars[0])
})
