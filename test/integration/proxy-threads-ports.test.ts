// A port that threads share: opened and closed again and again, as `then: stop-listening` does.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import type { HostPort } from '../../src/cluster/member.ts'
import { freePort } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import type { WireServer } from '../../src/proxy/relay/wire.ts'
import { threadsFor } from './proxy-threads-rig.ts'
import { dial } from './proxy-wire.ts'

const { threads } = await threadsFor({ after })

function serving(): { readonly server: WireServer; readonly came: () => number } {
  let came = 0
  const server = threads.createServer({ keepAliveMs: undefined }, wire => {
    came += 1
    wire.destroy()
  })
  return { server, came: () => came }
}

/** Resolves when it listens, rejects with what is in the way. */
function listening(server: WireServer, address: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function refuses(address: HostPort): Promise<void> {
  await waitFor('the port to refuse', { withinMs: 20_000, everyMs: 5 }, async () => {
    const answer: unknown = await dial(address).then(
      ({ socket }) => socket.destroy(),
      (error: unknown) => error,
    )
    return answer instanceof Error && 'code' in answer && answer.code === 'ECONNREFUSED'
  })
}

async function takes(address: HostPort, came: () => number): Promise<void> {
  const before = came()
  const client = await dial(address)
  await client.untilEnd()
  assert.ok(came() > before, 'its session is ours')
  client.socket.destroy()
}

test('a port that is asked for twice at once listens once, and is closed as a whole, every time', async () => {
  const address = { host: '127.0.0.1', port: await freePort('127.0.0.1', 15_700) }
  // The first time the address is taken alone before the threads share it, later it is theirs at once.
  for (let round = 0; round < 3; round += 1) {
    const { server, came } = serving()
    await Promise.all([listening(server, address), listening(server, address)])
    assert.equal(server.listening, true)
    for (let each = 0; each < 8; each += 1) await takes(address, came)
    server.close()
    await refuses(address)
  }
})

test('a port that another program had is taken by the same server once it is free', async () => {
  const address = { host: '127.0.0.1', port: await freePort('127.0.0.1', 15_720) }
  const other = createServer()
  other.listen(address)
  await once(other, 'listening')
  const { server, came } = serving()
  await assert.rejects(listening(server, address), { code: 'EADDRINUSE' })
  other.close()
  await once(other, 'close')
  await listening(server, address)
  await takes(address, came)
  server.close()
  await refuses(address)
})

test('a port that is closed before it listens stays closed, and can be opened again', async () => {
  const address = { host: '127.0.0.1', port: await freePort('127.0.0.1', 15_740) }
  const { server, came } = serving()
  const opened = listening(server, address)
  server.close()
  await opened
  assert.equal(server.listening, false)
  await refuses(address)
  await listening(server, address)
  await takes(address, came)
  server.close()
  await refuses(address)
})
