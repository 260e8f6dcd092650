// A reload that gives the REST server another address: the same port at another host, and an address that is taken.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import test, { after, type TestContext } from 'node:test'
import { freePort } from '../../src/demo/loopback.ts'
import { threeMembers } from '../support/agent-status.ts'
import { rawExchange } from '../support/raw-http.ts'
import { restConfig } from '../support/rest-config.ts'
import { startRestServer } from '../support/rest-server.ts'

const CHECK = 'OPTIONS / HTTP/1.0\r\n\r\n'
const OK = 'HTTP/1.0 200 OK\r\n\r\n'

const restOn = (host: string, port: number) => restConfig({ listen: { host, port } })

async function startOn(host: string, port: number) {
  const started = await startRestServer(after, { listen: { host, port } })
  await started.agent.put(threeMembers)
  return started.server
}

/** Another program at this address. */
async function occupy(t: TestContext, host: string, port: number): Promise<void> {
  const other = createServer().listen(port, host)
  t.after(() => other.close())
  await once(other, 'listening')
}

const refuses = (host: string, port: number) =>
  assert.rejects(rawExchange(host, port, CHECK), { code: 'ECONNREFUSED' })

test('a reload moves to all addresses and to one, at the same port, and who is connected gets his answer', async () => {
  const port = await freePort('127.0.0.1', 8008)
  const server = await startOn('127.0.0.1', port)
  const early = connect({ host: '127.0.0.1', port })
  await once(early, 'connect')
  early.write('OPTIONS / HTTP/1.0\r\n')
  // The listener has taken it when it answers the next one.
  assert.equal(await rawExchange('127.0.0.1', port, CHECK), OK)
  await server.reload(restOn('*', port))
  assert.equal(await rawExchange('127.0.0.1', port, CHECK), OK)
  assert.equal(await rawExchange('127.0.0.2', port, CHECK), OK)
  await server.reload(restOn('127.0.0.2', port))
  assert.equal(await rawExchange('127.0.0.2', port, CHECK), OK)
  await refuses('127.0.0.1', port)
  early.write('\r\n')
  const [answer] = (await once(early, 'data')) as [Buffer]
  assert.equal(answer.toString('latin1'), OK)
  early.destroy()
})

test('a host without an address leaves the server where it was, and it answers meanwhile', async () => {
  const port = await freePort('127.0.0.1', 8008)
  const server = await startOn('127.0.0.1', port)
  let isMoving = true
  const moving = assert.rejects(server.reload(restOn('no-such-host.invalid', port)))
  void moving.finally(() => {
    isMoving = false
  })
  do assert.equal(await rawExchange('127.0.0.1', port, CHECK), OK)
  while (isMoving)
  await moving
  assert.equal(await rawExchange('127.0.0.1', port, CHECK), OK)
})

test('an address that is taken, or not of this machine, leaves the server where it was', async t => {
  const port = await freePort('127.0.0.1', 8008)
  const server = await startOn('127.0.0.1', port)
  await occupy(t, '127.0.0.2', port)
  await assert.rejects(server.reload(restOn('127.0.0.2', port)), {
    name: 'UserError',
    message: `restapi.listen: cannot listen on 127.0.0.2:${port}: another program uses this port: stop it, or change restapi.listen`,
  })
  assert.equal(await rawExchange('127.0.0.1', port, CHECK), OK)
  await assert.rejects(server.reload(restOn('192.0.2.1', port)), /this machine has no such address/)
  assert.equal(await rawExchange('127.0.0.1', port, CHECK), OK)
  const next = await freePort('127.0.0.1', port + 1)
  await server.reload(restOn('127.0.0.1', next))
  assert.equal(await rawExchange('127.0.0.1', next, CHECK), OK)
  await refuses('127.0.0.1', port)
})
