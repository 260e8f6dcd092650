import assert from 'node:assert/strict'
import test from 'node:test'
import { type MemberKeyParts, printMemberKey } from '../../../src/agent/member-key.ts'
import { printJson } from '../../../src/cluster/json.ts'
import { parseMember } from '../../../src/cluster/member.ts'
import { facts } from './scene.ts'

const parts: MemberKeyParts = {
  address: { host: '10.0.0.1', port: 5432 },
  database: 'postgres',
  apiUrl: 'http://10.0.0.1:8008/patroni',
  state: 'running',
  role: 'primary',
  facts: facts({ role: 'primary', writeLsn: 83886432n }),
  tags: {},
  isPaused: false,
  isRestartPending: false,
  pendingReasons: {},
  scheduledRestart: undefined,
  checkpointAfterPromote: true,
  version: '0.1.0',
  phases: undefined,
}

test('a leader’s key carries what Patroni’s readers expect', () => {
  assert.equal(
    printMemberKey(parts),
    '{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","state":"running",' +
      '"role":"primary","version":"4.1.4","xlog_location":83886432,"timeline":1,"pgherd":{"version":"0.1.0"}}',
  )
})

test('a standby’s key carries its positions and how it replicates', () => {
  const value = printMemberKey({
    ...parts,
    role: 'replica',
    facts: facts({ receivedLsn: 7n, replayedLsn: 5n }),
  })
  const member = parseMember('pg1', value, 1n)
  assert.equal(member.walPosition, 7n)
  assert.equal(member.receiveLsn, 7n)
  assert.equal(member.replayLsn, 5n)
  assert.equal(member.replicationState, 'streaming')
})

test('what we print we read back, positions beyond 2^53 and IPv6 included', () => {
  const lsn = 2n ** 60n + 1n
  const value = printMemberKey({
    ...parts,
    address: { host: 'fd00::1', port: 5433 },
    facts: facts({ role: 'primary', writeLsn: lsn }),
    checkpointAfterPromote: false,
    isPaused: true,
    isRestartPending: true,
    phases: { lockMs: 10.4, promoteMs: 190.6 },
  })
  const member = parseMember('pg1', value, 1n)
  assert.equal(member.connUrl, 'postgres://[fd00::1]:5433/postgres')
  assert.equal(member.walPosition, lsn)
  assert.equal(member.checkpointAfterPromote, false)
  assert.equal(member.pause, true)
  assert.equal(member.pendingRestart, true)
  assert.deepEqual(member.pgherd, { version: '0.1.0', phases: { lock_ms: 10, promote_ms: 191 } })
})

test('a member that copies its data says how far it is', () => {
  const clone = { doneBytes: 1024, totalBytes: 4096 }
  const own = (more: object) => parseMember('pg1', printMemberKey({ ...parts, ...more }), 1n).pgherd
  assert.deepEqual(own({ clone }), {
    version: '0.1.0',
    clone: { done_bytes: 1024, total_bytes: 4096, percent: 25 },
  })
  assert.deepEqual(own({ clone: { doneBytes: 7, totalBytes: undefined } }), {
    version: '0.1.0',
    clone: { done_bytes: 7 },
  })
})

test('what the store gives back prints as it was written, so that a key that somebody overwrote is noticed', () => {
  const standby = facts({ receivedLsn: 2n ** 60n + 1n, replayedLsn: 5n })
  for (const more of [
    {},
    { role: 'replica', facts: standby, tags: { nofailover: true, a: ['b', 1.5, null] } },
  ] as const) {
    const value = printMemberKey({ ...parts, ...more })
    assert.equal(printJson(parseMember('pg1', value, 1n).raw), value)
  }
})
