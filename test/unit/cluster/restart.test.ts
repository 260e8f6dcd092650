import assert from 'node:assert/strict'
import test from 'node:test'
import {
  printScheduledRestart,
  type RestartConditions,
  unconditionalRestart,
  unmetCondition,
  versionNumber,
  versionText,
} from '../../../src/cluster/restart.ts'

const facts = { role: 'replica', serverVersion: 150008, isRestartPending: false }
const older = (text: string) => ({ olderThan: { text, number: versionNumber(text) as number } })

const rows: readonly (readonly [string, Partial<RestartConditions>, string | undefined])[] = [
  ['nothing asked', {}, undefined],
  ['the right role', { role: 'replica' }, undefined],
  ['another role', { role: 'primary' }, 'host role mismatch'],
  ['an older server', older('15.9'), undefined],
  ['the same version', older('15.8'), 'postgres version mismatch'],
  ['a newer server', older('9.6.24'), 'postgres version mismatch'],
  ['nothing pending', { isPendingOnly: true }, 'pending restart flag is not set'],
]
for (const [what, conditions, expected] of rows) {
  test(`a restart with ${what} is ${expected ?? 'carried out'}`, () => {
    assert.equal(unmetCondition({ ...unconditionalRestart, ...conditions }, facts), expected)
  })
}

const versions: readonly (readonly [string, number | string])[] = [
  ['9.5.3', 90503],
  ['9.3.13', 90313],
  ['10.1', 100001],
  ['15.18', 150018],
  ['10', 'Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 10'],
  ['9.6', 'Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6'],
  ['1.2.3.4', 'Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 1.2.3.4'],
  ['a.b.c', 'Invalid PostgreSQL version: a.b.c'],
  ['', 'Invalid PostgreSQL version: '],
]
for (const [text, expected] of versions) {
  test(`the version ${JSON.stringify(text)} is ${expected}`, () => {
    const number = versionNumber(text)
    assert.equal(typeof number === 'number' ? number : number.refusal, expected)
    if (typeof expected === 'number') assert.equal(versionText(expected), text)
  })
}

test('a scheduled restart is told without the start time of the server, and kept with it', () => {
  const scheduled = {
    conditions: { ...unconditionalRestart, ...older('15.9'), isPendingOnly: true, timeoutSeconds: 60 },
    at: '2037-01-01T10:00:00+00:00',
    atWallMs: 0,
    postmasterStartTime: '2026-11-25 10:00:00+00:00',
  }
  const told = {
    schedule: '2037-01-01T10:00:00+00:00',
    postgres_version: '15.9',
    restart_pending: true,
    timeout: 60,
  }
  assert.deepEqual(printScheduledRestart(scheduled, false), told)
  assert.deepEqual(printScheduledRestart(scheduled, true), {
    ...told,
    postmaster_start_time: '2026-11-25 10:00:00+00:00',
  })
})
