// Which of two errors is told when a server is tried in clear text and in TLS.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import test, { type TestContext } from 'node:test'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { Connection, sqlStateOf } from '../../../src/postgres/connection.ts'
import { errorMessage } from '../proxy/bytes.ts'

const SSL_REQUEST = 80877103

/** A server without TLS that refuses everybody in this way. */
async function refusing(t: TestContext, code: string): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = []
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', chunk => {
      const isSsl = chunk.readUInt32BE(4) === SSL_REQUEST
      asked.push(isSsl ? 'tls' : 'plain')
      if (isSsl) socket.write('N')
      else socket.end(errorMessage(code))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const bound = server.address()
  assert.ok(bound !== null && typeof bound === 'object')
  return { port: bound.port, asked }
}

async function errorOf(port: number, sslmode: string): Promise<unknown> {
  const target = {
    door: { host: '127.0.0.1', port },
    who: { username: 'x', password: 'y', options: { sslmode } },
    database: 'postgres',
    isReplication: false,
    session: {},
  }
  try {
    await Connection.open(target, Deadline.in(realClock, 5_000))
  } catch (error) {
    return error
  }
  throw new Error('nobody refused')
}

// sslmode, how it was tried
for (const [sslmode, tried] of [
  ['prefer', ['plain', 'tls']],
  ['allow', ['plain', 'tls']],
  ['disable', ['plain']],
] as const) {
  test(`sslmode ${sslmode}: what the server itself said is told, not that it has no TLS`, async t => {
    const { port, asked } = await refusing(t, '28000')
    const error = await errorOf(port, sslmode)
    assert.equal(sqlStateOf(error), '28000', String(error))
    assert.deepEqual(asked, tried)
  })
}

test('with TLS alone, a server without it is told as that', async t => {
  const { port } = await refusing(t, '28000')
  assert.match(String(await errorOf(port, 'require')), /does not support SSL/)
})
