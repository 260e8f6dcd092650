// The REST server's bounds where callers are not idle but never leave, and where all actions are busy.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import test, { after, type TestContext } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { startRestServer } from '../support/rest-server.ts'

const CONNECTIONS_MAX = 500
const ACTIONS_MAX = 8
const { agent, port, raw } = await startRestServer(after)

/** Sends these bytes and neither closes nor goes. */
function caller(t: TestContext, bytes: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  return new Promise(resolve => socket.once('connect', () => socket.write(bytes, () => resolve(socket))))
}

test('callers that have their answer and do not leave make room for new ones', async t => {
  const answered: Promise<boolean>[] = []
  for (let n = 0; n < CONNECTIONS_MAX + 200; n += 1) {
    const socket = await caller(t, 'GET /primary HTTP/1.0\r\n\r\n')
    answered.push(
      new Promise(resolve => {
        socket.once('data', () => resolve(true))
        socket.once('close', () => resolve(false))
      }),
    )
  }
  const lost = (await Promise.all(answered)).filter(isAnswered => !isAnswered).length
  assert.equal(lost, 0, `${lost} callers lost their answers`)
  const open = /^pgherd_api_connections (\d+)$/m.exec(await raw('GET /metrics HTTP/1.0\r\n\r\n'))?.[1]
  t.diagnostic(`${open} connections of ${answered.length}`)
  assert.ok(Number(open) <= CONNECTIONS_MAX, `${open} connections`)
})

test('with all actions busy a leader without etcd still gets its answer', async t => {
  agent.failsafe = 'accepted'
  for (let n = 0; n < ACTIONS_MAX; n += 1)
    await caller(t, 'POST /restart HTTP/1.0\r\nContent-Length: 9\r\n\r\n{"a":')
  await waitFor('all actions to be busy', { withinMs: 4_000, everyMs: 20 }, async () =>
    (await raw('POST /reload HTTP/1.0\r\nContent-Length: 0\r\n\r\n')).startsWith('HTTP/1.0 503 '),
  )
  const body = JSON.stringify({ name: 'pg2' })
  const answer = await raw(`POST /failsafe HTTP/1.0\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  assert.match(answer, /^HTTP\/1\.0 200 /)
})
