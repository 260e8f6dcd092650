import assert from 'node:assert/strict'
import test from 'node:test'
import { Inlet } from '../../../src/proxy/inlet.ts'
import { printProxyHeader } from '../../../src/proxy/proxy-protocol.ts'
import { RateQueue } from '../../../src/proxy/rate-queue.ts'
import { EARLY_BYTES_MAX } from '../../../src/proxy/startup.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { cancelRequest, startup } from './bytes.ts'
import { FakeWire } from './fake-wire.ts'

const first = startup({ user: 'u' }).toString('latin1')
const cancel = cancelRequest(7, Buffer.from('0badcafe', 'hex')).toString('latin1')

/** One has passed, the next waits; at most two may. */
function open(acceptsProxy = false) {
  const clock = new FakeClock()
  const met: string[] = []
  const onTurn = (wire: unknown) => {
    assert.ok(wire instanceof FakeWire)
    const onPacket = ({ kind }: { readonly kind: string }) => void met.push(kind)
    const ends = { onGone: () => void met.push('gone'), onClosed: () => {}, onHeader: () => true }
    new Inlet(wire, { onPacket, ...ends }, acceptsProxy)
  }
  const queue = new RateQueue({ clock, perSecond: 1, acceptsProxy, capacity: () => 2, onTurn })
  queue.take(new FakeWire())
  const wire = new FakeWire()
  assert.equal(queue.take(wire), true)
  return { clock, met, queue, wire, onTurn }
}

test('what a client has sent while it waited for its turn is there when its turn comes, and what it sends then follows', async () => {
  const { clock, met, wire } = open()
  wire.deliver(first.slice(0, 5))
  await clock.advance(999)
  wire.deliver(first.slice(5, 9))
  assert.deepEqual(met, [])
  await clock.advance(1)
  assert.deepEqual(met, [])
  wire.deliver(first.slice(9))
  assert.deepEqual(met, ['startup'])
})

test('who hangs up while it waits gives its place free at once and takes no turn', async () => {
  const { clock, met, queue, wire } = open()
  const [next, late] = [new FakeWire(), new FakeWire()]
  assert.deepEqual([queue.take(next), queue.take(late)], [true, false])
  wire.deliver(first)
  wire.listener.onEnd()
  assert.deepEqual([wire.isDestroyed, queue.take(late)], [true, true])
  next.deliver(first)
  await clock.advance(1000)
  assert.deepEqual(met, ['startup'])
})

test('a cancel request is for its turn, though its client has hung up, behind a PROXY header, too', async () => {
  for (const acceptsProxy of [false, true]) {
    const { clock, met, wire } = open(acceptsProxy)
    const header = acceptsProxy ? printProxyHeader('v2', wire.endpoints()).toString('latin1') : ''
    wire.deliver(header + cancel)
    wire.listener.onEnd()
    await clock.advance(1000)
    assert.deepEqual([met, wire.isDestroyed], [['cancel'], false])
  }
})

test('a client that sends more than anybody has to say before it is answered does not wait any longer', async () => {
  const { clock, met, queue, wire } = open()
  wire.deliver(first + 'x'.repeat(EARLY_BYTES_MAX))
  assert.equal(wire.isDestroyed, true)
  assert.equal(queue.take(new FakeWire()), true, 'its place is free')
  await clock.advance(1000)
  assert.deepEqual(met, [])
})

test('at the end all who wait are handed over, with what they have sent', () => {
  const { clock, met, queue, wire, onTurn } = open()
  wire.deliver(first)
  queue.close(onTurn)
  assert.deepEqual([met, clock.timers], [['startup'], 0])
})
