import assert from 'node:assert/strict'
import test from 'node:test'
import type { ClusterView } from '../../../src/cluster/view.ts'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { keepRegistered } from '../../../src/proxy/registration.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const KEY = 'pgherd/proxies/p1-7'

/** A registered proxy that looks at the store every 2 s. */
async function registered() {
  const clock = new FakeClock()
  const store = new MemoryStore({ clock })
  const dcs = new MemoryDcs(store)
  const ended = new AbortController()
  let view: ClusterView | undefined
  let writes = 0
  store.listen(events => {
    writes += (events ?? []).filter(event => event.kind === 'put').length
  })
  const options = { clock, dcs, log: silentLogger, id: 'p1-7', value: { name: 'p1' }, lastView: () => view }
  const over = keepRegistered(options, ended.signal)
  const pass = async (durationMs: number) => {
    for (let passedMs = 0; passedMs < durationMs; passedMs += 2_000) {
      view = await dcs.read(Deadline.in(clock, 1_000))
      await clock.advance(2_000)
    }
  }
  await clock.advance(0)
  const isThere = () => store.keys().some(kv => kv.key === KEY)
  const end = async () => {
    ended.abort()
    await over
  }
  return { clock, store, pass, isThere, writes: () => writes, end }
}

test('a registered proxy writes its key once and keeps it', async () => {
  const { pass, isThere, writes, end } = await registered()
  await pass(60_000)
  assert.ok(isThere())
  assert.equal(writes(), 1)
  await end()
  assert.ok(!isThere())
})

test('a registration that `ctl remove` deleted with the scope is written again, once', async () => {
  const { store, pass, isThere, writes, end } = await registered()
  await pass(10_000)
  store.txn([], [{ kind: 'delete-prefix', prefix: '' }])
  assert.ok(!isThere())
  await pass(10_000)
  assert.ok(isThere())
  await pass(60_000)
  assert.equal(writes(), 2)
  await end()
})

test('a view from before the registration says nothing about it', async () => {
  const { clock, isThere, writes, end } = await registered()
  await clock.advance(60_000)
  assert.ok(isThere())
  assert.equal(writes(), 1)
  await end()
})
