import assert from 'node:assert/strict'
import test from 'node:test'
import { registeredProxies } from '../../../src/cluster/registration.ts'
import { type ClusterView, parseView } from '../../../src/cluster/view.ts'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { Registration } from '../../../src/proxy/registration.ts'
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
  const registration = new Registration(options)
  const over = registration.keep(ended.signal)
  const pass = async (durationMs: number) => {
    for (let passedMs = 0; passedMs < durationMs; passedMs += 2_000) {
      view = await dcs.read(Deadline.in(clock, 1_000))
      await clock.advance(2_000)
    }
  }
  await clock.advance(0)
  const isThere = () => store.keys().some(kv => kv.key === KEY)
  const proxy = () => registeredProxies(parseView(store.position, store.keys()))[0]
  const end = async () => {
    ended.abort()
    await over
  }
  return { clock, store, dcs, registration, pass, isThere, proxy, writes: () => writes, end }
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

const first = { createRevision: 7n, revision: 20n }

test('a proxy that holds for the end of a term says so at once, once, and goes on being registered', async () => {
  const { clock, registration, proxy, writes, pass, end } = await registered()
  assert.deepEqual(proxy(), { name: 'p1', answers: true, holdsFor: undefined })
  registration.holds(first)
  await clock.advance(0)
  assert.deepEqual(proxy()?.holdsFor, first)
  for (let turn = 0; turn < 5; turn += 1) registration.holds({ ...first })
  await pass(60_000)
  assert.equal(writes(), 2)
  const second = { ...first, revision: 31n }
  registration.holds(second)
  await clock.advance(0)
  assert.deepEqual(proxy()?.holdsFor, second)
  await pass(60_000)
  assert.deepEqual(proxy()?.holdsFor, second)
  await end()
  assert.equal(proxy(), undefined)
})

test('an answer that does not get through is tried again soon while it is waited for, and told later all the same', async () => {
  const { clock, dcs, registration, proxy, end } = await registered()
  dcs.setFaults({ unreachable: true })
  registration.holds(first)
  await clock.advance(450)
  dcs.setFaults({})
  await clock.advance(100)
  assert.deepEqual(proxy()?.holdsFor, first)
  dcs.setFaults({ unreachable: true })
  registration.holds({ ...first, revision: 40n })
  await clock.advance(2_000)
  dcs.setFaults({})
  await clock.advance(6_000)
  assert.equal(proxy()?.holdsFor?.revision, 40n)
  await end()
})

test('an answer whose lease has ended meanwhile is told with a new registration', async () => {
  const { clock, dcs, store, registration, proxy, end } = await registered()
  dcs.setFaults({ unreachable: true })
  await clock.advance(30_000)
  assert.equal(proxy(), undefined)
  registration.holds(first)
  dcs.setFaults({})
  await clock.advance(6_000)
  assert.deepEqual(proxy()?.holdsFor, first)
  assert.equal(store.keys().filter(({ key }) => key.startsWith('pgherd/proxies/')).length, 1)
  await end()
})
