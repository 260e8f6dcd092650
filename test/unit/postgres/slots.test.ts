import assert from 'node:assert/strict'
import test from 'node:test'
import type { ServerRole, Slot } from '../../../src/postgres/port.ts'
import { type SlotChange, slotChanges, withoutDrops } from '../../../src/postgres/slots.ts'

const slot = (name: string, changes: Partial<Slot> = {}): Slot => ({
  name,
  isPhysical: true,
  isActive: false,
  isTemporary: false,
  restartLsn: 100n,
  holdsXmin: false,
  isLost: false,
  ...changes,
})

function plan(
  role: ServerRole,
  slots: readonly Slot[],
  wanted: Readonly<Record<string, bigint | undefined>>,
) {
  const isReplica = role === 'replica'
  const facts = {
    role,
    slots,
    replayedLsn: isReplica ? 500n : undefined,
    writeLsn: isReplica ? undefined : 500n,
  }
  return slotChanges(new Map(Object.entries(wanted)), facts).map(change =>
    change.kind === 'advance' ? `advance ${change.name} ${change.to}` : `${change.kind} ${change.name}`,
  )
}

const rows = [
  ['a missing one is created', 'primary', [], { a: undefined }, ['create a']],
  ['an existing one stays', 'primary', [slot('a')], { a: undefined }, []],
  ['an unwanted one is dropped', 'primary', [slot('a')], {}, ['drop a']],
  ['an unwanted active one waits for its client', 'primary', [slot('a', { isActive: true })], {}, []],
  ['a logical one is not ours', 'primary', [slot('a', { isPhysical: false })], {}, []],
  [
    'a logical one of the wanted name stays',
    'primary',
    [slot('a', { isPhysical: false })],
    { a: undefined },
    [],
  ],
  ['a temporary one is not ours', 'primary', [slot('a', { isTemporary: true })], {}, []],
  [
    'a lost one is made again',
    'primary',
    [slot('a', { isLost: true })],
    { a: undefined },
    ['drop a', 'create a'],
  ],
  [
    'one that reserves nothing is made again',
    'primary',
    [slot('a', { restartLsn: undefined })],
    { a: undefined },
    ['drop a', 'create a'],
  ],
  [
    'a primary keeps the xmin of a member that is briefly away',
    'primary',
    [slot('a', { holdsXmin: true })],
    { a: undefined },
    [],
  ],
  [
    'a standby holds back vacuum for nobody',
    'replica',
    [slot('a', { holdsXmin: true })],
    { a: 200n },
    ['drop a', 'create a'],
  ],
  ['a primary advances nothing that nobody tells', 'primary', [slot('a')], { a: undefined }, []],
  ['a primary advances that of a cascading member', 'primary', [slot('a')], { a: 200n }, ['advance a 200']],
  [
    "a primary makes a cascading member's slot anew that holds back vacuum for nobody",
    'primary',
    [slot('a', { holdsXmin: true })],
    { a: 200n },
    ['drop a', 'create a'],
  ],
  ['not beyond what it has written', 'primary', [slot('a')], { a: 900n }, ['advance a 500']],
  ['a standby advances an idle one', 'replica', [slot('a')], { a: 200n }, ['advance a 200']],
  ['not beyond what it has replayed', 'replica', [slot('a')], { a: 900n }, ['advance a 500']],
  ['never back', 'replica', [slot('a')], { a: 50n }, []],
  ['an active one moves by itself', 'replica', [slot('a', { isActive: true })], { a: 200n }, []],
  ['a name that PostgreSQL would refuse is not tried', 'primary', [], { 'A-b': undefined }, []],
] as const
for (const [what, role, slots, wanted, want] of rows) {
  test(`slots: ${what}`, () => assert.deepEqual(plan(role, slots, wanted), want))
}

test('where nothing may be dropped slots are still made and moved on, and a lost one stays as it is', () => {
  const changes: readonly SlotChange[] = [
    { kind: 'drop', name: 'unwanted' },
    { kind: 'create', name: 'missing' },
    { kind: 'drop', name: 'lost' },
    { kind: 'create', name: 'lost' },
    { kind: 'advance', name: 'idle', to: 7n },
  ]
  assert.deepEqual(
    withoutDrops(changes).map(({ kind, name }) => `${kind} ${name}`),
    ['create missing', 'advance idle'],
  )
})
