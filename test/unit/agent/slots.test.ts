import assert from 'node:assert/strict'
import test from 'node:test'
import { isOthersSlot, type SlotScene, wantedSlots } from '../../../src/agent/slots.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import type { Slot } from '../../../src/postgres/port.ts'
import { view } from './scene.ts'

const TTL_MS = 200_000

function scene(changes: Partial<SlotScene> = {}): SlotScene {
  const config = dynamicConfig({ member_slots_ttl: TTL_MS / 1000 }, true)
  const memory = new Map<string, number>()
  return { view: view(), name: 'pg1', tags: {}, isLeader: true, config, memory, nowMs: 1_000_000, ...changes }
}

const names = (given: SlotScene) => [...wantedSlots(given).slots.keys()].sort()

test('every other member gets a slot, and one that left keeps its slot for a while', () => {
  const seen = view({ tags: { pg3: { nostream: true } } })
  const first = scene({ view: seen, memory: new Map([['pg9', 900_000]]) })
  assert.deepEqual(names(first), ['pg2', 'pg9'])
  const later = scene({ view: seen, memory: wantedSlots(first).memory, nowMs: 1_200_001 })
  assert.deepEqual(names(later), ['pg2'])
})

test('a leader lets the slot of a departed member go after member_slots_ttl, though its own status key still names it', () => {
  const seen = view({ members: ['pg1'], status: '{"optime":1,"slots":{"pg7":55},"retain_slots":["pg7"]}' })
  let memory = wantedSlots(scene({ view: seen })).memory
  for (const afterMs of [TTL_MS / 2, TTL_MS]) {
    const now = scene({ view: seen, memory, nowMs: 1_000_000 + afterMs })
    assert.deepEqual(names(now), ['pg7'], `after ${afterMs} ms`)
    memory = wantedSlots(now).memory
  }
  assert.deepEqual(names(scene({ view: seen, memory, nowMs: 1_000_001 + TTL_MS })), [])
})

test('a standby keeps what its leader retains, however long, and counts anew when it leads', () => {
  const seen = view({ members: ['pg1'], status: '{"optime":1,"slots":{"pg7":55},"retain_slots":["pg7"]}' })
  const old = scene({ view: seen, isLeader: false, memory: new Map([['pg7', 1]]) })
  assert.deepEqual([...wantedSlots(old).slots], [['pg7', 55n]])
  const promoted = scene({ view: seen, memory: wantedSlots(old).memory, nowMs: 1_000_000 + TTL_MS })
  assert.deepEqual(names(promoted), ['pg7'])
})

test('with member_slots_ttl 0 only the leader keeps slots, and nobody for members that left', () => {
  const seen = view({ members: ['pg1', 'pg2'], status: '{"optime":1,"retain_slots":["pg7"]}' })
  const config = dynamicConfig({ member_slots_ttl: 0 }, true)
  assert.deepEqual(names(scene({ view: seen, config, memory: new Map([['pg8', 999_999]]) })), ['pg2'])
  assert.deepEqual(names(scene({ view: seen, config, isLeader: false })), [])
})

test('a member that may not lead keeps slots for its own followers alone', () => {
  const seen = view({ tags: { pg3: { replicatefrom: 'pg1' } } })
  const tags = { nofailover: true }
  assert.deepEqual(names(scene({ view: seen, tags, isLeader: false })), ['pg3'])
  assert.deepEqual(names(scene({ view: seen, tags, isLeader: true })), ['pg2', 'pg3'])
})

const cascade = { tags: { pg3: { replicatefrom: 'pg2' } }, positions: { pg3: 900 } }

test('the leader moves the slot of a cascading member on; that of one that has given its own up it leaves alone', () => {
  assert.deepEqual(
    [...wantedSlots(scene({ view: view(cascade) })).slots],
    [
      ['pg2', undefined],
      ['pg3', 900n],
    ],
  )
  const alone = view({ ...cascade, ours: ['pg3'], givenUp: ['pg3'] })
  assert.equal(wantedSlots(scene({ view: alone })).slots.get('pg3'), undefined)
})

test('with member_slots_ttl 0 a cascading member has its slot where it streams from, and on the leader when that is gone', () => {
  const config = dynamicConfig({ member_slots_ttl: 0 }, true)
  const seen = view(cascade)
  assert.deepEqual(names(scene({ view: seen, config })), ['pg2'])
  assert.deepEqual(names(scene({ view: seen, config, name: 'pg2', isLeader: false })), ['pg3'])
  const gone = view({ ...cascade, members: ['pg1', 'pg3'] })
  assert.deepEqual(names(scene({ view: gone, config })), ['pg3'])
  const alone = view({ ...cascade, ours: ['pg3'], givenUp: ['pg3'] })
  assert.deepEqual(names(scene({ view: alone, config })), ['pg2', 'pg3'])
})

const heldByAStandby: readonly (readonly [string, Partial<SlotScene>, string])[] = [
  [
    'one for another member goes where that member is',
    { view: view({ positions: { pg2: 800, pg3: 900 } }) },
    'pg2=800 pg3=900',
  ],
  [
    'what the leader published comes first',
    { view: view({ positions: { pg2: 800, pg3: 900 }, status: '{"optime":1,"slots":{"pg3":55}}' }) },
    'pg2=800 pg3=55',
  ],
  [
    'none under a leader of another program for a member whose position nobody tells',
    { view: view({ positions: { pg2: 800 } }) },
    'pg2=800',
  ],
  [
    'none under a leader of another program for one that left and of whom nothing is known any more',
    { view: view({ members: ['pg1', 'pg2'], positions: { pg2: 800 } }), memory: new Map([['pg9', 999_999]]) },
    'pg2=800',
  ],
  [
    'its own follower has one in any case',
    { view: view({ tags: { pg3: { replicatefrom: 'pg1' } }, positions: { pg2: 800 } }) },
    'pg2=800 pg3=undefined',
  ],
  [
    'under a leader of ours that has told nothing yet they stay where they are',
    {
      view: view({ leader: 'pg2', ours: ['pg2'], positions: { pg2: 800 } }),
      memory: new Map([['pg9', 999_999]]),
      config: dynamicConfig({ member_slots_ttl: 200, slots: { backup: { type: 'physical' } } }, true),
    },
    'backup=undefined pg2=800 pg3=undefined pg9=undefined',
  ],
  [
    'under a Patroni from 4 on that has told nothing yet they stay where they are',
    {
      view: view({ leader: 'pg2', versions: { pg2: '4.0.6' }, positions: { pg2: 800 } }),
      memory: new Map([['pg9', 999_999]]),
      config: dynamicConfig({ member_slots_ttl: 200, slots: { backup: { type: 'physical' } } }, true),
    },
    'backup=undefined pg2=800 pg3=undefined pg9=undefined',
  ],
  [
    'none under a Patroni below 4 for those whose position nobody tells',
    {
      view: view({ leader: 'pg2', versions: { pg2: '3.3.2', pg3: '4.0.6' }, positions: { pg2: 800 } }),
      memory: new Map([['pg9', 999_999]]),
    },
    'pg2=800',
  ],
  [
    'with no leader they stay where they are',
    {
      view: view({ leader: undefined, members: ['pg1'] }),
      config: dynamicConfig({ slots: { backup: { type: 'physical' } } }, true),
    },
    'backup=undefined',
  ],
  [
    'a permanent one that bears the name of the leader goes where the leader is',
    {
      view: view({ leader: 'pg2', ours: ['pg2'], members: ['pg1', 'pg2'], positions: { pg2: 800 } }),
      config: dynamicConfig({ slots: { pg2: { type: 'physical' } } }, true),
    },
    'pg2=800',
  ],
]
for (const [what, changes, want] of heldByAStandby) {
  test(`slots on a standby: ${what}`, () => {
    const { slots } = wantedSlots(scene({ isLeader: false, ...changes }))
    assert.equal(
      [...slots]
        .map(pair => pair.join('='))
        .sort()
        .join(' '),
      want.replaceAll('undefined', ''),
    )
  })
}

test('a member that becomes nostream loses its slot at once', () => {
  const seen = view({ tags: { pg3: { nostream: true } }, status: '{"optime":1,"retain_slots":["pg3"]}' })
  assert.deepEqual(names(scene({ view: seen, memory: new Map([['pg3', 999_999]]) })), ['pg2'])
})

test('a standby cluster has the permanent slots that are for one, and its leader moves none of them', () => {
  const slots = {
    here: { type: 'physical', cluster_type: 'standby' },
    there: { type: 'physical', cluster_type: 'primary' },
    both: { type: 'physical' },
  }
  const config = dynamicConfig({ slots, standby_cluster: { host: 'a' } }, true)
  const seen = view({ members: ['pg1'], status: '{"optime":1,"slots":{"here":7,"both":8}}' })
  assert.deepEqual(
    [...wantedSlots(scene({ view: seen, config })).slots],
    [
      ['here', undefined],
      ['both', undefined],
    ],
  )
})

const PERMANENT = {
  slots: {
    backup: { type: 'physical' },
    zero: 0,
    pg1: { type: 'physical' },
    standby_only: { type: 'physical', cluster_type: 'standby' },
    cdc: { type: 'logical', database: 'app', plugin: 'pgoutput' },
    odd: 'text',
  },
  ignore_slots: [{ type: 'logical', database: 'theirs' }, { name: 'barman' }],
}

test('permanent slots are wanted by all that may lead; the own name never', () => {
  const config = dynamicConfig(PERMANENT, true)
  const status = '{"optime":1,"slots":{"backup":77}}'
  const standby = scene({ view: view({ members: ['pg1'], status }), config, isLeader: false })
  const { slots, logical, memory } = wantedSlots(standby)
  // A leader of another program has published nothing of `zero`: here nothing would move it.
  assert.deepEqual([...slots], [['backup', 77n]])
  assert.deepEqual(names({ ...standby, isLeader: true }), ['backup', 'zero'])
  const cdc = { name: 'cdc', database: 'app', plugin: 'pgoutput', confirmedLsn: undefined }
  assert.deepEqual(logical, [cdc])
  assert.deepEqual(wantedSlots({ ...standby, tags: { nostream: true } }).logical, [])
  assert.deepEqual([...memory.keys()], [])
  const mayNot = { ...standby, tags: { failover_priority: 0 } }
  assert.deepEqual([names(mayNot), wantedSlots(mayNot).logical], [[], []])
})

const slot = (changes: Partial<Slot>): Slot => ({
  name: 'a',
  isPhysical: true,
  isActive: false,
  isTemporary: false,
  restartLsn: 1n,
  holdsXmin: false,
  isLost: false,
  ...changes,
})
const others: readonly (readonly [string, Partial<Slot>, boolean])[] = [
  ['by name', { name: 'barman' }, true],
  ['by all given fields', { isPhysical: false, database: 'theirs', plugin: 'wal2json' }, true],
  ['not by some of them', { isPhysical: false, database: 'ours' }, false],
  ['not another one', { name: 'barman2' }, false],
  ['an entry that cannot be understood', { name: 'odd' }, true],
]
for (const [what, changes, want] of others) {
  test(`a slot is out of our hands: ${what}`, () =>
    assert.equal(isOthersSlot(slot(changes), dynamicConfig(PERMANENT, true)), want))
}
