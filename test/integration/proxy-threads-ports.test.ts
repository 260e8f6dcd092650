// A port that threads share: opened and closed again and again, as `then: stop-listening` does.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import type { HostPort } from '../../src/cluster/member.ts'
import { freePort } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { type Clock, realClock } from '../../src/platform/clock.ts'
import type { Wire, WireServer } from '../../src/proxy/relay/wire.ts'
import { RemoteWire } from '../../src/proxy/threads/remote-wire.ts'
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

test('a thread that takes too long to start in place of one that died does not stay deaf', async t => {
  let hurries = 0
  const clock: Clock = {
    monotonicMs: () => realClock.monotonicMs(),
    wallMs: () => realClock.wallMs(),
    sleep: (delayMs, signal) => realClock.sleep(delayMs, signal),
    setTimer: (delayMs, run) => {
      // The limit for a start.
      const isHurried = delayMs === 20_000 && hurries > 0
      if (isHurried) hurries -= 1
      return realClock.setTimer(isHurried ? 1 : delayMs, run)
    },
  }
  const { threads: own, told } = await threadsFor(t, 2, 'handle', clock)
  const address = { host: '127.0.0.1', port: await freePort('127.0.0.1', 15_760) }
  const wires: Wire[] = []
  const server = own.createServer({ keepAliveMs: undefined }, wire => void wires.push(wire))
  await listening(server, address)
  const client = await dial(address)
  await waitFor('the client', { withinMs: 20_000, everyMs: 5 }, () => wires.length === 1)
  hurries = 1
  const nobody = { onConnected: () => {}, onFailed: () => {} }
  // An address that no caller of Node may give: the thread that is told to connect there ends with an error.
  own.dial({ host: 'localhost', port: 70_000 }, { keepAliveMs: 1_000, beside: wires[0] }, nobody)
  await waitFor('the late one to be given up', { withinMs: 20_000, everyMs: 5 }, () => own.deathsTotal === 2)
  assert.match(told[1]?.says ?? '', /it is started again: it did not start within 20 s/)
  await waitFor('both threads to take clients', { withinMs: 20_000 }, async () => {
    const { socket } = await dial(address)
    socket.on('error', () => {})
    const homes = new Set(wires.slice(1).map(wire => (wire instanceof RemoteWire ? wire.home : undefined)))
    return homes.size === 2
  })
  client.socket.destroy()
  server.close()
})
