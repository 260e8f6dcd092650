// A wire that a worker holds, as the control thread handles it.

import assert from 'node:assert/strict'
import test from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { WireListener } from '../../../../src/proxy/relay/wire.ts'
import type { Order } from '../../../../src/proxy/threads/messages.ts'
import { RemoteWire } from '../../../../src/proxy/threads/remote-wire.ts'

function made() {
  const orders: Order[] = []
  const heard: string[] = []
  const home = { post: (order: Order) => void orders.push(order) }
  const wire = new RemoteWire(7, home, { source: '10.0.0.9', sourcePort: 1, target: '', targetPort: 2 })
  const listener: WireListener = {
    onData: bytes => void heard.push(bytes.toString()),
    onEnd: () => void heard.push('end'),
    onTaken: () => {},
    onBroken: () => void heard.push('broken'),
    onClosed: () => void heard.push('closed'),
  }
  wire.listener = listener
  return { wire, orders, heard }
}

test('what comes while nobody reads waits, and is heard in order', async () => {
  const { wire, heard, orders } = made()
  wire.got(Buffer.from('one'))
  wire.start()
  wire.got(Buffer.from('two'))
  assert.deepEqual(heard, [])
  await turn()
  assert.deepEqual(heard, ['one', 'two'])
  wire.got(Buffer.from('three'))
  wire.stop()
  wire.got(Buffer.from('four'))
  wire.gotEnd()
  assert.equal(wire.deliveredBytes, 11)
  wire.start()
  await turn()
  assert.deepEqual(heard, ['one', 'two', 'three', 'four', 'end'])
  assert.equal(wire.deliveredBytes, 15)
  assert.deepEqual(orders, [], 'the worker reads by itself')
})

test('after our last word what comes is dropped by the worker', async () => {
  const { wire, heard, orders } = made()
  wire.got(Buffer.from('more'))
  assert.equal(wire.write(Buffer.from('bye')), true)
  wire.end()
  wire.start()
  wire.start()
  wire.got(Buffer.from('and more'))
  await turn()
  assert.deepEqual(heard, [])
  assert.deepEqual(
    orders.map(order => order.do),
    ['write', 'end', 'drain'],
  )
  wire.closed()
  assert.deepEqual(heard, ['closed'])
})

test('a wire that is gone says nothing but that it is closed, once it is', async () => {
  const { wire, heard, orders } = made()
  wire.start()
  wire.destroy()
  wire.reset()
  wire.got(Buffer.from('late'))
  wire.broke()
  wire.write(Buffer.from('late'))
  wire.end()
  await turn()
  assert.deepEqual(heard, [])
  wire.closed()
  assert.deepEqual(heard, ['closed'])
  assert.deepEqual(
    orders.map(order => order.do),
    ['destroy'],
  )
})
