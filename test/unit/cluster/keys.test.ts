// Readers and printers of the small keys: status, sync, failover, history, and the name of a slot.

import assert from 'node:assert/strict'
import test from 'node:test'
import {
  clusterTimeline,
  type HistoryLine,
  parseHistory,
  parseHistoryFile,
  printHistory,
} from '../../../src/cluster/history.ts'
import { parseRequest, printRequest } from '../../../src/cluster/request.ts'
import { slotNameOf } from '../../../src/cluster/slot-name.ts'
import { emptyStatus, parseStatus, printStatus, type Status } from '../../../src/cluster/status.ts'
import { isInSync, parseSync, printSync, type SyncState } from '../../../src/cluster/sync.ts'

const statuses: readonly (readonly [string, Partial<Status>])[] = [
  [
    '{"optime":67108864,"slots":{"pg2":67108000},"retain_slots":["pg2","pg3"]}',
    { optime: 67108864n, slots: { pg2: 67108000n }, retainSlots: ['pg2', 'pg3'] },
  ],
  ['67108864', { optime: 67108864n }],
  ['"67108864"', { optime: 67108864n }],
  ['{"optime":"67108864"}', { optime: 67108864n }],
  ['{"optime":18446744073709551615}', { optime: 18446744073709551615n }],
  [
    '{"optime":1,"slots":"{\\"pg2\\":5}","retain_slots":"[\\"a\\"]"}',
    { optime: 1n, slots: { pg2: 5n }, retainSlots: ['a'] },
  ],
  [
    '{"optime":1,"slots":{"a":"x","b":7},"retain_slots":[1,"c"]}',
    { optime: 1n, slots: { b: 7n }, retainSlots: ['c'] },
  ],
  ['{"optime":null,"slots":[],"retain_slots":{}}', {}],
  ['{"slots":"not json"}', {}],
  ['', {}],
  ['[]', {}],
  ['null', {}],
]
for (const [value, want] of statuses) {
  test(`status ${value}`, () => {
    assert.deepEqual(parseStatus(value), { ...emptyStatus, ...want })
  })
}

test('a status is printed compactly, empty parts left out, names sorted', () => {
  const status = { optime: 18446744073709551615n, slots: { pg2: 5n }, retainSlots: ['b', 'a'] }
  assert.equal(
    printStatus(status),
    '{"optime":18446744073709551615,"slots":{"pg2":5},"retain_slots":["a","b"]}',
  )
  assert.equal(printStatus({ ...emptyStatus, optime: 7n }), '{"optime":7}')
  assert.deepEqual(parseStatus(printStatus(status)), { ...status, retainSlots: ['a', 'b'] })
})

const syncs: readonly (readonly [string, SyncState | undefined])[] = [
  ['{"leader":"n1","quorum":0,"sync_standby":"n2,n3"}', { leader: 'n1', quorum: 0, standbys: ['n2', 'n3'] }],
  ['{"leader":"n1","sync_standby":"n3, n2,"}', { leader: 'n1', quorum: 0, standbys: ['n2', 'n3'] }],
  ['{"leader":"n1","quorum":null,"sync_standby":null}', { leader: 'n1', quorum: 0, standbys: [] }],
  ['{"leader":"n1","quorum":"1","sync_standby":5}', { leader: 'n1', quorum: 1, standbys: [] }],
  ['{"leader":null,"sync_standby":"n2"}', undefined],
  ['{"leader":"","sync_standby":"n2"}', undefined],
  ['{}', undefined],
  ['', undefined],
  ['[]', undefined],
]
for (const [value, want] of syncs) {
  test(`sync ${value} is ${want === undefined ? 'off' : 'on'}`, () => {
    assert.deepEqual(parseSync(value), want)
  })
}

test('sync is printed with sorted names, nobody as null', () => {
  assert.equal(
    printSync({ leader: 'n1', quorum: 1, standbys: ['n3', 'n2'] }),
    '{"leader":"n1","quorum":1,"sync_standby":"n2,n3"}',
  )
  assert.equal(
    printSync({ leader: 'n1', quorum: 0, standbys: [] }),
    '{"leader":"n1","quorum":0,"sync_standby":null}',
  )
})

test('names in sync compare without case, the leader belongs to them', () => {
  const sync = { leader: 'N1', quorum: 0, standbys: ['Pg-2'] }
  assert.deepEqual(
    ['n1', 'pg-2', 'PG-2', 'pg', ''].map(name => isInSync(sync, name)),
    [true, true, true, false, false],
  )
})

const at = '2030-01-01T00:00:00+00:00'
const requests: readonly (readonly [string, readonly (string | undefined)[] | undefined])[] = [
  [`{"leader":"n1","member":"n2","scheduled_at":"${at}"}`, ['n1', 'n2', at]],
  ['{"leader":"n1"}', ['n1', undefined, undefined]],
  ['{"member":"n2"}', [undefined, 'n2', undefined]],
  ['{"leader":"","member":"n2","scheduled_at":""}', [undefined, 'n2', undefined]],
  ['n1:n2', ['n1', 'n2', undefined]],
  [':n2', [undefined, 'n2', undefined]],
  ['n1:', ['n1', undefined, undefined]],
  [':', undefined],
  ['{}', undefined],
  [`{"scheduled_at":"${at}"}`, undefined],
  ['{"leader":5}', undefined],
  ['', undefined],
  ['nonsense', undefined],
  ['a:b:c', undefined],
]
for (const [value, want] of requests) {
  test(`failover ${JSON.stringify(value)} asks for ${want === undefined ? 'nothing' : want.join(' -> ')}`, () => {
    const request = parseRequest(value)
    assert.deepEqual(request && [request.leader, request.candidate, request.scheduledAt], want)
  })
}

test('a request is printed with only what it has', () => {
  assert.equal(
    printRequest({ leader: 'n1', candidate: 'n2', scheduledAt: at }),
    `{"leader":"n1","member":"n2","scheduled_at":"${at}"}`,
  )
  assert.equal(
    printRequest({ leader: undefined, candidate: 'n2', scheduledAt: undefined }),
    '{"member":"n2"}',
  )
})

const line = (timeline: number, more: Partial<HistoryLine> = {}): HistoryLine => {
  return { timeline, switchLsn: 100n, reason: 'r', time: undefined, newLeader: undefined, ...more }
}
const histories: readonly (readonly [string, readonly HistoryLine[] | undefined, number | undefined])[] = [
  ['[[1,100,"r"],[2,100,"r","t","pg2"]]', [line(1), line(2, { time: 't', newLeader: 'pg2' })], 3],
  ['[[1,18446744073709551615,"r","t"]]', [line(1, { switchLsn: 18446744073709551615n, time: 't' })], 2],
  ['[["x"],[4,100]]', [line(4, { reason: '' })], 5],
  ['[[1,100,"r"],["x"]]', undefined, undefined],
  ['[]', [], 1],
  ['{}', undefined, undefined],
  ['', undefined, undefined],
]
for (const [value, want, timeline] of histories) {
  test(`history ${value} means timeline ${timeline}`, () => {
    assert.deepEqual(parseHistory(value), want)
    assert.equal(clusterTimeline(parseHistory(value)), timeline)
  })
}

test('history is printed as lists; time and name only where they are known', () => {
  const value = '[[1,100,"r"],[2,18446744073709551615,"r","t"],[3,100,"r","t","pg2"]]'
  const lines = parseHistory(value)
  assert.ok(lines !== undefined)
  assert.equal(printHistory(lines), value)
})

test("PostgreSQL's own history file is read, comments and blank lines left out", () => {
  const text = '# comment\n\n1\t0/3000060\tno recovery target specified\n\n2\t16/B374D848\tbefore 2030\n'
  assert.deepEqual(parseHistoryFile(text), [
    line(1, { switchLsn: 0x3000060n, reason: 'no recovery target specified' }),
    line(2, { switchLsn: 0x16b374d848n, reason: 'before 2030' }),
  ])
})

const slots: readonly (readonly [string, string])[] = [
  ['pg1', 'pg1'],
  ['PG-1.Example', 'pg_1_example'],
  ['a b', 'au0032b'],
  ['a:b', 'au0058b'],
  ['é', 'u0233'],
  ['\u{1f418}', 'u128024'],
  ['x'.repeat(80), 'x'.repeat(63)],
  ['', ''],
]
for (const [member, slot] of slots) {
  test(`member "${member}" has the slot "${slot}"`, () => {
    assert.equal(slotNameOf(member), slot)
  })
}
