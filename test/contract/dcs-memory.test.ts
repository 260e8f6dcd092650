// The store's contract over the in-memory implementation, by a clock that only the test moves.

import assert from 'node:assert/strict'
import test from 'node:test'
import { MemoryDcs } from '../../src/dcs/memory.ts'
import { MemoryStore } from '../../src/dcs/memory-store.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { HaError } from '../../src/platform/errors.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { dcsContract } from './dcs-suite.ts'
import { WatchReader } from './dcs-watch-reader.ts'

dcsContract('memory', async () => {
  const clock = new FakeClock()
  const stores = new Map<string, MemoryStore>()
  const connect = (scope: string) => {
    const store = stores.get(scope) ?? new MemoryStore({ clock })
    stores.set(scope, store)
    return new MemoryDcs(store)
  }
  return { clock, connect, pass: durationMs => clock.advance(durationMs) }
})

const put = (key: string, value: string) => ({ kind: 'put', key, value }) as const

function fresh() {
  const own = new FakeClock()
  const store = new MemoryStore({ clock: own })
  return { own, store, dcs: new MemoryDcs(store), by: (ms: number) => Deadline.in(own, ms) }
}

test('a late write is unknown to its caller and applied all the same', async () => {
  const { own, dcs, by } = fresh()
  dcs.setFaults({ delayMs: 14_000 })
  const written = dcs.write([], [put('leader', 'pg1')], by(1_000))
  await own.advance(1_000)
  assert.deepEqual(await written, { outcome: 'unknown', revision: undefined })
  dcs.setFaults({})
  assert.equal((await dcs.read(by(1_000))).leader, undefined)
  await own.advance(13_000)
  assert.equal((await dcs.read(by(1_000))).leader?.name, 'pg1')
})

test('a lost answer leaves the write applied and its outcome unknown', async () => {
  const { own, dcs, by } = fresh()
  dcs.setFaults({ answersLost: true })
  const written = dcs.write([], [put('leader', 'pg1')], by(500))
  const read = dcs.read(by(500)).catch((error: unknown) => error)
  await own.advance(500)
  assert.equal((await written).outcome, 'unknown')
  const error = await read
  assert.ok(error instanceof HaError && error.code === 'E_DCS_TIMEOUT')
  dcs.setFaults({})
  assert.equal((await dcs.read(by(500))).leader?.name, 'pg1')
})

test('an unreachable store fails at once, and a watch tells both changes', async () => {
  const { store, dcs, by } = fresh()
  const watch = new WatchReader(dcs, 1)
  await watch.begun()
  dcs.setFaults({ unreachable: true })
  await assert.rejects(
    dcs.read(by(500)),
    error => error instanceof HaError && error.code === 'E_DCS_UNREACHABLE',
  )
  assert.equal((await dcs.write([], [put('leader', 'pg1')], by(500))).outcome, 'unreachable')
  await new MemoryDcs(store).write([], [put('leader', 'pg2')], by(500))
  dcs.setFaults({})
  await watch.until(() => watch.stale.length === 3, 'the watch to resume')
  assert.deepEqual(watch.seen, [])
  await watch.close()
})

test('a restored store goes back in revision and may change its cluster id', async () => {
  const { store, dcs, by } = fresh()
  await dcs.write([], [put('leader', 'pg1')], by(500))
  const snapshot = store.snapshot()
  await dcs.write([], [put('leader', 'pg2')], by(500))
  const before = (await dcs.read(by(500))).position
  const watch = new WatchReader(dcs, 1)
  await watch.begun()
  store.restore(snapshot, '77')
  await watch.until(() => watch.stale.length === 2, 'the restore to be told')
  const view = await dcs.read(by(500))
  assert.equal(view.leader?.name, 'pg1')
  assert.ok(view.position.revision < before.revision)
  assert.equal(view.position.clusterId, '77')
  await watch.close()
})
