// What clients hear that have no server yet when the proxy stops.

import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultListener } from '../../src/config/proxy/defaults.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { netTransport } from '../../src/proxy/relay/net.ts'
import { sslRequest } from '../unit/proxy/bytes.ts'
import { HeldClock, inState, played, type Rig, rig } from './proxy-listener-rig.ts'
import { dial, sqlStateOf, type Watched } from './proxy-wire.ts'

/** What they are told, and whether the connection ended in order. */
async function stopped(made: Rig, clients: readonly Watched[]): Promise<string> {
  const over = made.listener.stop('the proxy is stopping')
  for (const client of clients) {
    await client.untilEnd()
    client.socket.end()
  }
  await over
  return clients.map(({ text, errors }) => sqlStateOf(text) ?? (errors.join() || 'end')).join(' ')
}

test('a stop tells clients that wait for a leader or for a full server, also where others are closed without a word', async t => {
  for (const isFull of [true, false]) {
    const made = await rig(t, { afterHold: 'close' })
    const { backend } = await played(t)
    if (isFull) made.backends = [backend]
    made.isFull = () => isFull
    const client = await made.connect()
    await inState(made, 'held', 1)
    assert.equal(await stopped(made, [client]), '57P03')
    assert.match(client.text, /the proxy is shutting down.*the proxy is stopping/s)
  }
})

test('a stop tells a client whose server has not answered yet, where nobody may wait, too', async t => {
  const transport = { ...netTransport, dial: () => ({ abort: () => {} }) }
  const made = await rig(t, { holdMs: 0, heldMax: 0, afterHold: 'close', transport })
  made.backends = [(await played(t)).backend]
  const client = await made.connect()
  await inState(made, 'connecting', 1)
  assert.equal(await stopped(made, [client]), '57P03')
  assert.deepEqual(made.ended, ['proxy-stops'])
})

test('a stop tells clients that wait for their turn, and ends those in order that asked for encryption', async t => {
  const access = { ...defaultListener.access, perSecond: 1 }
  const made = await rig(t, { clock: new HeldClock(), config: { access } })
  const clients = [await made.connect(), await made.connect(), await made.connect()]
  const encrypted = await dial(made.address)
  encrypted.socket.write(sslRequest)
  const isAccepted = () => made.listener.acceptedTotal === 4
  await waitFor('all to be accepted', { withinMs: 20_000, everyMs: 5 }, isAccepted)
  await inState(made, 'held', 1)
  assert.equal(await stopped(made, [...clients, encrypted]), '57P03 57P03 57P03 end')
})
