import assert from 'node:assert/strict'
import test from 'node:test'
import { logicalPlan } from '../../../src/postgres/logical-plan.ts'
import type { LogicalSlot, ServerRole, Slot } from '../../../src/postgres/port.ts'
import { obstacle } from '../../../src/postgres/slot-copies.ts'

const slot = (changes: Partial<Slot> = {}): Slot => ({
  name: 'cdc',
  isPhysical: false,
  isActive: false,
  isTemporary: false,
  restartLsn: 100n,
  holdsXmin: true,
  isLost: false,
  database: 'app',
  plugin: 'pgoutput',
  confirmedLsn: 200n,
  ...changes,
})
const cdc: LogicalSlot = { name: 'cdc', database: 'app', plugin: 'pgoutput', confirmedLsn: 300n }

function plan(
  role: ServerRole,
  major: number,
  slots: readonly Slot[],
  wanted: readonly LogicalSlot[] = [cdc],
  replayedLsn = 500n,
) {
  const facts = { role, slots, serverVersion: major * 10_000, replayedLsn }
  const { create, drop, advance, complaints } = logicalPlan(wanted, facts)
  return [
    ...create.map(({ name }) => `create ${name}`),
    ...drop.map(({ name }) => `drop ${name}`),
    ...advance.map(({ slot: { name }, to }) => `advance ${name} to ${to}`),
    ...complaints.map(({ name }) => `complain of ${name}`),
  ].join()
}

const MAJORS = [12, 13, 14, 15, 16, 17, 18]
/** What happens on each major: a character a version, from 12 to 18. */
function onEachMajor(role: ServerRole, slots: readonly Slot[], wanted?: readonly LogicalSlot[]) {
  return MAJORS.map(major => plan(role, major, slots, wanted) || '-')
}
const each = (below16: string, on16: string, from17: string) => [
  ...[below16, below16, below16, below16],
  on16,
  ...[from17, from17],
]

const byMajor: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  [
    'a primary makes a missing one',
    onEachMajor('primary', []),
    each('create cdc', 'create cdc', 'create cdc'),
  ],
  ['a standby makes none', onEachMajor('replica', []), each('-', '-', '-')],
  [
    'from 17 on a primary’s slot without failover is told: standbys get no copy of it',
    onEachMajor('primary', [slot()]),
    each('-', '-', 'complain of cdc'),
  ],
  [
    'below 17 a copy on a standby follows its leader’s, from 17 on one that is not PostgreSQL’s own makes room for it',
    onEachMajor('replica', [slot()]),
    each('advance cdc to 300', 'advance cdc to 300', 'drop cdc'),
  ],
  [
    'PostgreSQL’s own copies are its own business',
    onEachMajor('replica', [slot({ isSynced: true, isFailover: true })]).slice(5),
    ['-', '-'],
  ],
  [
    'below 16 an unwanted one on a standby goes, later it may have a consumer there',
    onEachMajor('replica', [slot()], []),
    each('drop cdc', '-', '-'),
  ],
  [
    'a lost copy goes',
    onEachMajor('replica', [slot({ isLost: true })]),
    each('drop cdc', 'drop cdc', 'drop cdc'),
  ],
]
for (const [what, got, want] of byMajor)
  test(`logical slots on 12 to 18: ${what}`, () => assert.deepEqual(got, want))

const rows: readonly (readonly [string, string, string])[] = [
  ['a primary’s unwanted slot is its owner’s', plan('primary', 15, [slot()], []), ''],
  [
    'a lost slot of the primary is told and stays',
    plan('primary', 15, [slot({ isLost: true })]),
    'complain of cdc',
  ],
  [
    'a copy with another plugin is left alone',
    plan('replica', 15, [slot({ plugin: 'x' })]),
    'complain of cdc',
  ],
  ['one that somebody uses is left alone', plan('replica', 15, [slot({ isActive: true })]), ''],
  ['a temporary one is nobody’s', plan('replica', 15, [slot({ isTemporary: true })], []), ''],
  ['no copy goes beyond what is replayed', plan('replica', 15, [slot()], [cdc], 250n), 'advance cdc to 250'],
  ['a copy that is there already rests', plan('replica', 15, [slot({ confirmedLsn: 300n })]), ''],
  [
    'unless it asks for older rows than it needs',
    plan('replica', 15, [slot({ confirmedLsn: 300n })], [{ ...cdc, isUnproven: true }]),
    'advance cdc to 300',
  ],
  [
    'without the leader’s word a copy rests',
    plan('replica', 15, [slot()], [{ ...cdc, confirmedLsn: undefined }]),
    '',
  ],
]
for (const [what, got, want] of rows) test(`logical slots: ${what}`, () => assert.equal(got, want))

const onLeader = {
  slot_name: 'cdc',
  slot_type: 'logical',
  temporary: 'f',
  active: 't',
  restart_lsn: '0/5000028',
  confirmed_flush_lsn: '0/6000000',
  catalog_xmin: '731',
  wal_status: 'reserved',
  state: 'abcd',
}
const SEGMENT = 16n * 1024n * 1024n
const obstacles = [
  ['all is there', onLeader, 0x6000000n, '0000000000000005', undefined],
  ['the leader has no such slot', undefined, 0x6000000n, '0000000000000005', /does not have it/],
  [
    'it is physical there',
    { ...onLeader, slot_type: 'physical' },
    0x6000000n,
    '0000000000000005',
    /physical/,
  ],
  ['it is lost there', { ...onLeader, wal_status: 'lost' }, 0x6000000n, '0000000000000005', /lost/],
  ['rows were removed (16)', { ...onLeader, conflicting: 't' }, 0x6000000n, '0000000000000005', /lost/],
  ['it is temporary there', { ...onLeader, temporary: 't' }, 0x6000000n, '0000000000000005', /temporary/],
  ['it has no state yet', { ...onLeader, state: null }, 0x6000000n, '0000000000000005', /not complete/],
  [
    'its consumer is ahead of us',
    onLeader,
    0x5ffffffn,
    '0000000000000005',
    /this server only up to 0\/5FFFFFF/,
  ],
  ['its WAL is gone here', onLeader, 0x6000000n, '0000000000000006', /needs WAL from 0\/5000028/],
  ['nobody can tell our WAL', onLeader, 0x6000000n, undefined, /cannot be listed/],
] as const
for (const [what, row, replayed, oldest, want] of obstacles) {
  test(`whether a leader’s logical slot is copied: ${what}`, () => {
    const why = obstacle(row, replayed, oldest, SEGMENT)
    if (want === undefined) assert.equal(why, undefined)
    else assert.match(why ?? '', want)
  })
}

test('a position in the second gigabyte-spanning part of the WAL is compared by segment number', () => {
  const far = { ...onLeader, restart_lsn: '2/1000000', confirmed_flush_lsn: '2/1000000' }
  assert.equal(obstacle(far, 0x2_0100_0000n, '0000000200000001', SEGMENT), undefined)
  assert.match(obstacle(far, 0x2_0100_0000n, '0000000200000002', SEGMENT) ?? '', /gone here/)
})
