import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const put = (key: string, leaseId?: bigint) =>
  leaseId === undefined
    ? ({ kind: 'put', key, value: 'v' } as const)
    : ({ kind: 'put', key, value: 'v', leaseId } as const)

test('a lease ends by the clock, to the millisecond', async () => {
  const clock = new FakeClock()
  const store = new MemoryStore({ clock })
  const { id } = store.grant(5)
  store.txn([], [put('leader', id)])
  await clock.advance(4_999)
  assert.equal(store.keys().length, 1)
  assert.equal(store.timeToLive(id)?.leftSeconds, 0)
  await clock.advance(1)
  assert.equal(store.keys().length, 0)
  assert.equal(store.timeToLive(id), undefined)
})

test('the floor of the TTL is granted, as etcd does', () => {
  const store = new MemoryStore({ clock: new FakeClock(), ttlSecondsMin: 2 })
  assert.equal(store.grant(1).ttlSeconds, 2)
})

test('only what changes something makes a revision', () => {
  const store = new MemoryStore({ clock: new FakeClock() })
  const before = store.position.revision
  store.txn([], [{ kind: 'delete', key: 'nothing' }])
  store.txn([], [])
  assert.equal(store.position.revision, before)
  store.txn([], [put('a'), put('b')])
  assert.equal(store.position.revision, before + 1n)
})

test('a lease id passes what a JavaScript number can hold', () => {
  const { id } = new MemoryStore({ clock: new FakeClock() }).grant(5)
  assert.ok(id > BigInt(Number.MAX_SAFE_INTEGER))
})

test('closing leaves no timer', () => {
  const clock = new FakeClock()
  const store = new MemoryStore({ clock })
  store.grant(5)
  store.close()
  assert.equal(clock.timers, 0)
})
