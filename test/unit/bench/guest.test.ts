import assert from 'node:assert/strict'
import test from 'node:test'
import { Guest, type GuestListener } from '../../../bench/raw/guest.ts'
import { greeting } from '../../../bench/raw/protocol.ts'
import { type DialListener, nobody, type Wire } from '../../../src/proxy/relay/wire.ts'

/** A wire that takes everything and is broken by the test. */
function silentWire(): Wire {
  return {
    listener: nobody,
    isDestroyed: false,
    isPending: false,
    endpoints: () => ({ source: '', sourcePort: 0, target: '', targetPort: 0 }),
    start: () => {},
    stop: () => {},
    write: () => true,
    end: () => {},
    destroy: () => {},
    reset: () => {},
  }
}

function openGuest(tell: Partial<GuestListener>): Wire {
  const wire = silentWire()
  let dialed: DialListener | undefined
  const dial = (_address: unknown, _options: unknown, listener: DialListener) => {
    dialed = listener
    return { abort: () => {} }
  }
  const silent = { onGreeted: () => {}, onDone: () => {}, onEnded: () => {}, onFailed: () => {} }
  new Guest({ kind: 'open', clients: 1, host: '127.0.0.1', port: 1 }, { dial }, { ...silent, ...tell })
  dialed?.onConnected(wire)
  wire.listener.onData(greeting)
  return wire
}

test('a session that ends and then breaks counts as one', () => {
  const ended: Guest[] = []
  const wire = openGuest({ onEnded: guest => ended.push(guest) })
  wire.listener.onEnd()
  wire.listener.onBroken()
  assert.equal(ended.length, 1)
})

test('a session that breaks without an end counts, too', () => {
  const ended: Guest[] = []
  openGuest({ onEnded: guest => ended.push(guest) }).listener.onBroken()
  assert.equal(ended.length, 1)
})
