// Back-pressure of the relay, exact: a side is not read while a piece of its data waits for the kernel of the other.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { WireRelay } from '../../../src/proxy/relay/wire-relay.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { ready } from './bytes.ts'
import { FakeWire } from './fake-wire.ts'

/** A session in clear text whose start is over with the server's first piece. */
function made(early = '', isFull = false) {
  const [client, server] = [new FakeWire(), new FakeWire()]
  server.isFull = isFull
  const ends: string[] = []
  const gate = { isOpen: true }
  const relay = new WireRelay({
    clock: new FakeClock(),
    client,
    server,
    passage: { isOpen: () => gate.isOpen },
    observer: {
      fromClient: () => {},
      fromServer: () => true,
      isOver: () => true,
      isAtBoundary: () => false,
      isClear: () => true,
    },
    listener: {
      onHalfClosed: why => void ends.push(why),
      onEnding: why => {
        ends.push(why)
        if (why === 'gate-closed') relay.close('cut', Buffer.from('words'))
      },
      onRelayClosed: () => void ends.push('closed'),
    },
  })
  // As when a session gets its server: the client is being read.
  client.start()
  relay.start(Buffer.from(early))
  return { client, server, relay, ends, gate }
}

const idle = ready.toString('latin1')

test('whose piece the other kernel does not take is not read before that piece is gone', () => {
  for (const towards of ['server', 'client'] as const) {
    const { client, server } = made()
    const [from, to] = towards === 'server' ? [client, server] : [server, client]
    from.deliver('a')
    assert.deepEqual([from.isReading, to.isReading], [true, true])
    to.isFull = true
    from.deliver('b')
    assert.deepEqual([from.isReading, to.isReading], [false, true], 'stopped when the piece was handed over')
    to.deliver('the other direction goes on')
    assert.deepEqual([from.isReading, to.isReading], [false, true])
    to.take()
    assert.deepEqual([from.isReading, to.isReading], [true, true])
    assert.equal(to.written, 'ab')
  }
})

test('what a client sent early counts as its piece', () => {
  const { client, server } = made('early', true)
  assert.deepEqual([client.isReading, server.isReading], [false, true])
  server.take()
  assert.deepEqual([client.isReading, server.written], [true, 'early'])
})

test('a hold that ends does not read a client whose piece still waits', () => {
  const { client, server, relay } = made()
  server.deliver(idle)
  client.deliver('question')
  server.isFull = true
  client.deliver('more')
  relay.holdWhenIdle(true)
  relay.holdWhenIdle(false)
  assert.equal(client.isReading, false)
  server.take()
  assert.equal(client.isReading, true)
})

test('a piece that is taken while the client is held does not read it', () => {
  const { client, server, relay } = made()
  client.isFull = true
  server.deliver(idle)
  relay.holdWhenIdle(true)
  client.take()
  assert.deepEqual([client.isReading, server.isReading], [false, true])
  relay.holdWhenIdle(false)
  assert.deepEqual([client.isReading, server.isReading], [true, true])
})

test('a server that closes behind a gate that has closed: the client gets the words all the same', () => {
  const { client, server, ends, gate } = made()
  server.deliver(idle)
  gate.isOpen = false
  server.listener.onEnd()
  assert.deepEqual([ends, client.written, client.ended], [['gate-closed'], `${idle}words`, 1])
})

test('a server that vanishes behind a gate that has closed: what its client has not taken is dropped', () => {
  const { client, server, ends, gate } = made()
  client.isFull = true
  server.deliver(idle)
  gate.isOpen = false
  server.destroy()
  server.listener.onBroken()
  assert.deepEqual([ends, client.isDestroyed, client.written], [['gate-closed'], true, idle])
})

type Step = 'client' | 'server' | 'idle' | 'fill' | 'choke' | 'drain' | 'take' | 'hold' | 'free'
const steps: readonly Step[] = ['client', 'server', 'idle', 'fill', 'choke', 'drain', 'take', 'hold', 'free']

test('for all orders of pieces, full kernels and holds: one piece in each direction, and nobody is forgotten', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...steps), { maxLength: 60 }), order => {
      const { client, server, relay } = made()
      const [toServer, toClient] = [[] as string[], [] as string[]]
      let [isHolding, isIdle, count] = [false, false, 0]
      const send = (from: FakeWire, text: string, kept: string[]) => {
        if (!from.isReading) return false
        kept.push(text)
        from.deliver(text)
        return true
      }
      for (const step of order) {
        count += 1
        if (step === 'client' && send(client, `q${count}.`, toServer)) isIdle = false
        if (step === 'server' && send(server, `a${count}.`, toClient)) isIdle = false
        if (step === 'idle' && send(server, idle, toClient)) isIdle = true
        if (step === 'fill') server.isFull = true
        if (step === 'choke') client.isFull = true
        if (step === 'drain') server.take()
        if (step === 'take') client.take()
        if (step === 'hold' || step === 'free') {
          isHolding = step === 'hold'
          relay.holdWhenIdle(isHolding)
        }
        const mayRead = !server.isPending
        // A word of the server out of turn (a notification) does not end a hold.
        if (isHolding) assert.ok(!client.isReading || (mayRead && !isIdle), `client after ${step}`)
        else assert.equal(client.isReading, mayRead, `client after ${step}`)
        assert.equal(server.isReading, !client.isPending, `server after ${step}`)
      }
      assert.deepEqual([server.written, client.written], [toServer.join(''), toClient.join('')])
    }),
    { numRuns: 500 },
  )
})
