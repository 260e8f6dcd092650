import assert from 'node:assert/strict'
import test from 'node:test'
import {
  applyEvent,
  applyLease,
  applyRead,
  type Change,
  type Leadership,
  unknownLeadership,
} from '../../../src/proxy/leadership.ts'
import { leaderKey, led, position } from './facts.ts'

const atMs = 50

function read(
  believed: Leadership,
  revision: number,
  leader: ReturnType<typeof leaderKey> | undefined,
  clusterId?: string,
) {
  const highestWhenSent = believed.highest
  return applyRead(believed, { position: position(revision, clusterId), leader, highestWhenSent, atMs })
}

const pg1 = led('pg1', 10, { revision: 20n, highest: 20n })

test('a leader that takes its vanished key again and says so goes on in its epoch, as often as it happens', () => {
  const again = (believed: Leadership, revision: number, continues: bigint | undefined) =>
    applyRead(believed, {
      position: position(revision),
      leader: leaderKey('pg1', revision, 9),
      continues,
      highestWhenSent: believed.highest,
      atMs,
    })
  const first = again(pg1, 30, 10n)
  assert.equal(first.change, 'reattached')
  assert.equal(first.next.epoch, pg1.epoch)
  const second = again(first.next, 40, 30n)
  assert.equal(second.next.epoch, pg1.epoch)
  assert.equal(again(second.next, 41, undefined).change, 'epoch', 'without its word it is a new term')
  assert.equal(again(second.next, 42, 10n).change, 'epoch', 'a word about an older term is none')
})

// what is believed, what is read, how it changes, who leads afterwards
const reads: readonly (readonly [string, Leadership, () => ReturnType<typeof read>, Change, string])[] = [
  [
    'the first read',
    unknownLeadership,
    () => read(unknownLeadership, 5, leaderKey('pg1', 4)),
    'epoch',
    'pg1@4',
  ],
  [
    'a first read without a leader',
    unknownLeadership,
    () => read(unknownLeadership, 5, undefined),
    'none',
    '-',
  ],
  ['the same key again', pg1, () => read(pg1, 21, leaderKey('pg1', 10)), 'none', 'pg1@10'],
  ['a key with a new lease', pg1, () => read(pg1, 21, leaderKey('pg1', 10, 8, 21)), 'reattached', 'pg1@10'],
  ['another name', pg1, () => read(pg1, 30, leaderKey('pg2', 25)), 'epoch', 'pg2@25'],
  ['the same name in a new term', pg1, () => read(pg1, 30, leaderKey('pg1', 25)), 'epoch', 'pg1@25'],
  ['no key', pg1, () => read(pg1, 30, undefined), 'key-gone', 'pg1@10'],
  ['a lower revision', pg1, () => read(pg1, 19, leaderKey('pg9', 3)), 'restored', 'pg9@3'],
  ['another etcd cluster', pg1, () => read(pg1, 99, leaderKey('pg1', 10), '200'), 'restored', 'pg1@10'],
  ['a restored store without leader', pg1, () => read(pg1, 3, undefined), 'restored', '-'],
]
for (const [name, , doRead, change, want] of reads) {
  test(`reading ${name}: ${change}`, () => {
    const { next, change: got } = doRead()
    const { epoch } = next
    assert.equal(got, change)
    assert.equal(epoch === undefined ? '-' : `${epoch.member}@${epoch.createRevision}`, want)
  })
}

test('a read that an event has overtaken is late, not a restored store', () => {
  const sentAt = pg1.highest
  const event = { position: position(22), revision: 22n, leader: leaderKey('pg2', 22), atMs }
  const { next } = applyEvent(pg1, event)
  const late = applyRead(next, { position: position(21), leader: undefined, highestWhenSent: sentAt, atMs })
  assert.equal(late.change, 'late')
  assert.equal(late.next.epoch?.member, 'pg2')
})

test('a restored store takes every older piece of evidence with it', () => {
  const { next } = read(pg1, 12, leaderKey('pg1', 10))
  assert.equal(next.leaseUntilMs, Number.NEGATIVE_INFINITY)
  assert.equal(next.seenAtMs, atMs)
  assert.equal(next.highest, 12n)
})

// revision of the event, its leader, its cluster, how it changes
const events: readonly (readonly [string, number, string | undefined, string | undefined, Change])[] = [
  ['a newer leader', 25, 'pg2', undefined, 'epoch'],
  ['a deletion', 25, undefined, undefined, 'key-gone'],
  ['a deletion told late', 15, undefined, undefined, 'late'],
  ['a leader told twice', 20, 'pg1', undefined, 'late'],
  ["another etcd cluster's leader", 99, 'pg2', '200', 'foreign'],
]
for (const [name, revision, leader, clusterId, change] of events) {
  test(`an event about ${name}: ${change}`, () => {
    const key = leader === undefined ? undefined : leaderKey(leader, revision)
    const event = { position: position(revision, clusterId), revision: BigInt(revision), leader: key, atMs }
    assert.equal(applyEvent(pg1, event).change, change)
  })
}

test('an event before the first read is no knowledge', () => {
  const event = { position: position(5), revision: 5n, leader: leaderKey('pg1', 5), atMs }
  assert.deepEqual(applyEvent(unknownLeadership, event), { next: unknownLeadership, change: 'foreign' })
})

test('a header that runs ahead does not hide the events still to come', () => {
  const first = applyEvent(pg1, { position: position(40), revision: 25n, leader: undefined, atMs }).next
  const second = applyEvent(first, {
    position: position(40),
    revision: 26n,
    leader: leaderKey('pg2', 26),
    atMs,
  })
  assert.deepEqual([second.change, second.next.highest], ['epoch', 40n])
})

test('deletion of the key retires nobody, but ends what the lease proved', () => {
  const { next } = applyEvent(pg1, { position: position(25), revision: 25n, leader: undefined, atMs })
  assert.equal(next.epoch?.member, 'pg1')
  assert.deepEqual([next.hasKey, next.leaseUntilMs, next.goneAtMs], [false, Number.NEGATIVE_INFINITY, atMs])
})

test('a new epoch starts without a lease deadline and with its own moment', () => {
  const event = { position: position(25), revision: 25n, leader: leaderKey('pg2', 25, 9), atMs }
  const { next } = applyEvent(pg1, event)
  assert.deepEqual([next.leaseId, next.leaseUntilMs, next.seenAtMs], [9n, Number.NEGATIVE_INFINITY, atMs])
})

test('a re-attached lease keeps the epoch, its moment and the deadline until the new lease is known', () => {
  const event = { position: position(25), revision: 25n, leader: leaderKey('pg1', 10, 9, 25), atMs }
  const { next } = applyEvent(pg1, event)
  assert.deepEqual([next.epoch, next.seenAtMs, next.leaseUntilMs, next.leaseId], [pg1.epoch, 0, 30_000, 9n])
})

// what is told about lease 7 or another, and the deadline afterwards
const leases: readonly (readonly [string, number, number | undefined, number, number])[] = [
  ['a longer rest moves the deadline', 7, 20, 15_000, 35_000],
  ['a shorter rest is a lower bound only', 7, 5, 15_000, 30_000],
  ['a lease that is gone proves nothing', 7, undefined, 15_000, Number.NEGATIVE_INFINITY],
  ['less than a whole second keeps the bound that was known', 7, 0, 15_000, 30_000],
  ['a rest below nothing proves nothing', 7, -1, 15_000, Number.NEGATIVE_INFINITY],
  ["another lease's rest says nothing", 8, 50, 15_000, 30_000],
]
for (const [name, leaseId, leftSeconds, sentAtMs, want] of leases) {
  test(name, () => {
    const next = applyLease(pg1, { leaseId: BigInt(leaseId), leftSeconds, sentAtMs })
    assert.equal(next.leaseUntilMs, want)
  })
}
