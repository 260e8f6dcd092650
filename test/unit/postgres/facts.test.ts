import assert from 'node:assert/strict'
import test from 'node:test'
import { observationSql, parseIdentity, parseObservation } from '../../../src/postgres/facts.ts'

const identity = { systemId: '7', serverVersion: 150018, checkpointerPid: 42 }
const base = {
  started: '2026-11-24 03:00:00.123456+00:00',
  receive_lsn: null,
  written_lsn: null,
  replay_lsn: null,
  replay_time: null,
  is_paused: 'f',
  receiver: null,
  end_lsn: null,
  receiver_timeline: null,
  restore_command: '',
  conninfo: '',
  slot_name: '',
  pending: null,
  loaded_at: '2026-11-25 10:00:00+00',
  senders: null,
  slots: null,
}
const primary = { ...base, role: 'primary', write_lsn: '0/3000060', write_timeline: '2' }
const standby = { ...base, role: 'replica', write_lsn: null, write_timeline: null, replay_lsn: '0/3000000' }

test('a primary tells its write position and timeline, and nothing of a receiver', () => {
  // After a promotion the receiver's last position is still shown.
  const seen = parseObservation({ ...primary, receive_lsn: '0/2000000', restore_command: 'cp' }, identity)
  assert.equal(seen?.timeline, 2)
  assert.equal(seen?.facts.writeLsn, 0x3000060n)
  assert.deepEqual([seen?.facts.receivedLsn, seen?.facts.replicationState], [undefined, undefined])
})

const received = [
  // flushed, written, want
  ['0/3000100', '0/3000200', 0x3000200n],
  ['0/3000300', '0/3000200', 0x3000300n],
  ['0/3000100', null, 0x3000100n],
  [null, null, 0x3000000n],
] as const
for (const [receive_lsn, written_lsn, want] of received) {
  test(`a standby that flushed ${receive_lsn} and wrote ${written_lsn} has received ${want.toString(16)}`, () => {
    const seen = parseObservation({ ...standby, receive_lsn, written_lsn }, identity)
    assert.equal(seen?.facts.receivedLsn, want)
  })
}

test('a receiver that has heard nothing yet does not tell the timeline', () => {
  const silent = { ...standby, receiver: 'streaming', receiver_timeline: '3' }
  assert.equal(parseObservation(silent, identity)?.timeline, undefined)
  assert.equal(parseObservation({ ...silent, end_lsn: '0/3000000' }, identity)?.timeline, 3)
})

const states = [
  ['streaming', 'cp', 'streaming'],
  [null, 'cp', 'in archive recovery'],
  ['starting', '', undefined],
] as const
for (const [receiver, restore_command, want] of states) {
  test(`receiver ${receiver} with restore_command "${restore_command}": ${want}`, () => {
    const seen = parseObservation({ ...standby, receiver, restore_command }, identity)
    assert.equal(seen?.facts.replicationState, want)
  })
}

test('senders and slots are read from their lists', () => {
  const seen = parseObservation(
    {
      ...primary,
      senders:
        '[["repl","pg2","10.0.0.2/32","streaming","sync",1,"0/3000060"],["repl","x",null,"startup","async",0,null]]',
      slots:
        '[["pg2","physical",true,false,"0/3000000",false,false],["old","physical",false,false,null,true,true]]',
    },
    identity,
  )
  assert.deepEqual(
    seen?.facts.senders.map(({ applicationName, clientAddress, flushLsn }) => [
      applicationName,
      clientAddress,
      flushLsn,
    ]),
    [
      ['pg2', '10.0.0.2/32', 0x3000060n],
      ['x', undefined, undefined],
    ],
  )
  assert.deepEqual(
    seen?.facts.slots.map(({ name, isActive, restartLsn, holdsXmin, isLost }) => [
      name,
      isActive,
      restartLsn,
      holdsXmin,
      isLost,
    ]),
    [
      ['pg2', true, 0x3000000n, false, false],
      ['old', false, undefined, true, true],
    ],
  )
})

test('answers of another shape are no facts', () => {
  assert.equal(parseObservation(undefined, identity), undefined)
  assert.equal(parseObservation({ ...primary, role: null }, identity), undefined)
  assert.equal(parseIdentity(undefined), undefined)
  assert.equal(parseIdentity({ system_id: '7', version: 'x', checkpointer: null }), undefined)
})

test('servers below 13 and 12 are not asked for what they do not know', () => {
  assert.match(observationSql(150018), /w\.written_lsn.*wal_status/s)
  assert.doesNotMatch(observationSql(120000), /written_lsn AS|w\.written_lsn|wal_status/)
  assert.doesNotMatch(observationSql(110000), /current_setting\('primary_conninfo'/)
})
