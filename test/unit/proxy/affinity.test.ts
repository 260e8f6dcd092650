import assert from 'node:assert/strict'
import test from 'node:test'
import { Affinity, type Opaque } from '../../../src/proxy/affinity.ts'
import { Backend } from '../../../src/proxy/backend.ts'
import type { Candidate } from '../../../src/proxy/balance.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const SOURCE = '10.1.1.1'

function candidates(weights: Readonly<Record<string, number>> = { a: 1, b: 1 }): readonly Candidate[] {
  return Object.entries(weights).map(([name, weight]) => ({
    name,
    weight,
    sessions: 0,
    connectionsMax: undefined,
  }))
}

function rig() {
  const clock = new FakeClock()
  const affinity = new Affinity(clock)
  /** A session on this server; `ask` and `answer` move its bytes. */
  const session = (name: string, source = SOURCE) => {
    let lastActivityMs = clock.monotonicMs()
    let isUnanswered = false
    const backend = new Backend(name, { host: '10.0.0.1', port: 1 }, clock)
    const move = (isAsked: boolean) => {
      lastActivityMs = clock.monotonicMs()
      isUnanswered = isAsked
    }
    const one: Opaque = {
      backend,
      counters: () => ({ toServerBytes: 0, toClientBytes: 0, lastActivityMs, isUnanswered }),
    }
    affinity.note(source, one, backend)
    return { ask: () => move(true), answer: () => move(false), end: () => affinity.forget(one) }
  }
  return { clock, affinity, session, draw: () => affinity.draw(SOURCE, candidates()) }
}

test('a connection goes to where a statement of its client waits, the last one first, twice for each', async () => {
  const { clock, session, draw } = rig()
  const [one, two] = [session('a'), session('b')]
  one.ask()
  await clock.advance(50)
  two.ask()
  assert.equal(draw(), undefined)
  await clock.advance(200)
  assert.deepEqual([draw(), draw(), draw(), draw()], ['b', 'b', 'a', 'a'])
  assert.equal(draw(), undefined)
  two.answer()
  two.ask()
  await clock.advance(200)
  assert.equal(draw(), 'b')
})

test('without a statement that waits it goes to the last activity, once the client has settled', async () => {
  const { clock, session, draw } = rig()
  const [one] = [session('a'), session('b')]
  assert.equal(draw(), undefined)
  await clock.advance(1200)
  one.answer()
  assert.equal(draw(), 'a')
})

test('other clients, and sessions that are over, mean nothing', async () => {
  const { clock, affinity, session, draw } = rig()
  const one = session('a')
  session('b', '10.9.9.9').ask()
  await clock.advance(2000)
  one.end()
  assert.equal(draw(), undefined)
  assert.equal(affinity.size, 1)
})

test('a server that is no candidate, or has no weight, draws nobody', async () => {
  const { clock, affinity, session } = rig()
  session('a').ask()
  await clock.advance(2000)
  assert.equal(affinity.draw(SOURCE, candidates({ b: 1, c: 1 })), undefined)
  assert.equal(affinity.draw(SOURCE, candidates({ a: 0, b: 1 })), undefined)
  assert.equal(affinity.draw(SOURCE, candidates({ a: 1, b: 1 })), 'a')
})

test('sessions do not pile up by it: two above their share while a statement waits, less than two otherwise', async () => {
  for (const isWaiting of [true, false]) {
    const { clock, session, draw } = rig()
    const count = new Map([
      ['a', 0],
      ['b', 0],
    ])
    const open = (name: string) => {
      count.set(name, (count.get(name) ?? 0) + 1)
      return session(name)
    }
    const first = open('a')
    let turn = 0
    for (let opened = 0; opened < 40; opened += 1) {
      first.answer()
      if (isWaiting) first.ask()
      await clock.advance(1500)
      turn += 1
      open(draw() ?? (turn % 2 === 0 ? 'a' : 'b'))
      const [a = 0, b = 0] = count.values()
      assert.ok(a - b <= (isWaiting ? 6 : 4), `${a} and ${b} after ${opened}`)
    }
  }
})

test('a draw among hundreds of sessions on one server asks who the candidates are once, not for each of them', async () => {
  const { clock, affinity, session } = rig()
  for (let count = 0; count < 300; count += 1) session('a')
  await clock.advance(2_000)
  let reads = 0
  const counted = candidates().map(candidate => ({
    ...candidate,
    get name() {
      reads += 1
      return candidate.name
    },
  }))
  assert.equal(affinity.draw(SOURCE, counted), undefined)
  assert.ok(reads < 10, `${reads} reads`)
})
