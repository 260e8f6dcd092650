// The bound on the REST server's connections, where every one of them is being answered.

import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import test from 'node:test'
import { Connections } from '../../../src/api/connections.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const CONNECTIONS_MAX = 500

/** Unconnected sockets with ports of their own. */
function sockets(count: number): readonly Socket[] {
  return Array.from({ length: count }, (_, remotePort) =>
    Object.defineProperties(new Socket(), {
      remotePort: { value: remotePort },
    }),
  )
}

function full() {
  let dropped = 0
  const connections = new Connections(
    new FakeClock(),
    () => {},
    () => {
      dropped += 1
    },
  )
  const [late, ...first] = sockets(CONNECTIONS_MAX + 1)
  assert.ok(late)
  for (const socket of first) assert.ok(connections.admit(socket) && connections.begin(socket))
  return { connections, first, late, dropped: () => dropped }
}

test('one that comes while all are being answered is refused and counted, and nobody is cut', () => {
  const { connections, first, late, dropped } = full()
  assert.equal(connections.admit(late), false)
  assert.equal(connections.size, CONNECTIONS_MAX)
  assert.equal(dropped(), 1)
  assert.ok(first.every(socket => !socket.destroyed))
})

test('one whose answer is on its way makes room for it', () => {
  const { connections, first, late, dropped } = full()
  const [, answered] = first
  assert.ok(answered)
  connections.end(answered)
  assert.equal(connections.admit(late), true)
  assert.equal(connections.size, CONNECTIONS_MAX)
  assert.deepEqual([answered.destroyed, dropped()], [true, 0])
})
