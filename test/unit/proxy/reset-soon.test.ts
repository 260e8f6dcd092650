import assert from 'node:assert/strict'
import test from 'node:test'
import { readSoon, resetSoon } from '../../../src/proxy/relay/reset-soon.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeWire } from './fake-wire.ts'

/** A wire whose reset costs a millisecond. */
class SlowWire extends FakeWire {
  readonly #onReset: () => void

  constructor(onReset: () => void) {
    super()
    this.#onReset = onReset
  }

  override reset(): void {
    super.reset()
    this.#onReset()
  }
}

/** A clock that this test moves. */
function slowClock(): { readonly clock: FakeClock; pass(): void } {
  let passedMs = 0
  const clock = new FakeClock()
  const real = clock.monotonicMs.bind(clock)
  clock.monotonicMs = () => real() + passedMs
  return {
    clock,
    pass: () => {
      passedMs += 1
    },
  }
}

test('resets of a thousand servers leave everybody else a turn, and each server gets one', async () => {
  const { clock, pass } = slowClock()
  let [done, longest, inTurn] = [0, 0, 0]
  const onReset = () => {
    pass()
    done += 1
    inTurn += 1
    longest = Math.max(longest, inTurn)
  }
  const wires = Array.from({ length: 1_000 }, () => new SlowWire(onReset))
  const late = Array.from({ length: 50 }, () => new SlowWire(onReset))
  for (const wire of wires) resetSoon(clock, wire)
  assert.equal(done, 0, 'behind the words to the clients')
  for (let round = 0; round < 1_000 && done < 1_050; round += 1) {
    await new Promise(setImmediate)
    inTurn = 0
    // Some more are cut in the middle of it.
    if (done <= 500) continue
    for (const wire of late.splice(0)) {
      wires.push(wire)
      resetSoon(clock, wire)
    }
  }
  assert.deepEqual(new Set(wires.map(({ resets }) => resets)), new Set([1]))
  assert.ok(longest <= 200, `${longest} in one turn`)
})

test('clients that have their words are read again behind the words of all, one that has gone meanwhile is let be', async () => {
  const clock = new FakeClock()
  const pairs = Array.from({ length: 3 }, () => ({ client: new FakeWire(), server: new FakeWire() }))
  const cut = ({ client, server }: { client: FakeWire; server: FakeWire }) => {
    client.start()
    resetSoon(clock, server)
    readSoon(clock, client)
  }
  const [first, second, third] = pairs
  assert.ok(first && second && third)
  cut(first)
  cut(second)
  await new Promise(setImmediate)
  // The next slice.
  cut(third)
  assert.deepEqual(
    pairs.map(({ client }) => client.isReading),
    [false, false, false],
  )
  second.client.destroy()
  for (let round = 0; round < 10; round += 1) await new Promise(setImmediate)
  assert.deepEqual(
    pairs.map(({ client, server }) => [client.isReading, server.resets]),
    [
      [true, 1],
      [false, 1],
      [true, 1],
    ],
  )
})

test('a cut that takes long does not keep those that were told unread until they are given up', async () => {
  const { clock, pass } = slowClock()
  const clients: FakeWire[] = []
  for (let round = 0; round < 90; round += 1) {
    // Slice after slice, 5 ms each.
    const client = new FakeWire()
    client.start()
    clients.push(client)
    resetSoon(clock, new FakeWire())
    readSoon(clock, client)
    for (let ms = 0; ms < 5; ms += 1) pass()
    await new Promise(setImmediate)
    if (round === 40) assert.equal(clients[0]?.isReading, false, 'after 205 ms')
  }
  assert.equal(clients[0]?.isReading, true, 'after 450 ms')
  for (let round = 0; round < 10; round += 1) await new Promise(setImmediate)
  assert.ok(clients.every(({ isReading }) => isReading))
})
