import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import type { JsonObject } from '../../../src/cluster/json.ts'
import { PeerClient, parsePeerAnswer, unreachable } from '../../../src/health/peer.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'

const documents: readonly (readonly [string, JsonObject, Partial<ReturnType<typeof parsePeerAnswer>>])[] = [
  [
    'a primary',
    {
      state: 'running',
      role: 'primary',
      xlog: { location: 100 },
      timeline: 3,
      pgherd: { lease_left_ms: 1234 },
    },
    {
      isPrimary: true,
      role: 'primary',
      walPosition: 100n,
      timeline: 3,
      leaseLeftMs: 1234,
      mayLead: true,
      isOurs: true,
    },
  ],
  [
    'a standby that received more than it replayed',
    { role: 'replica', xlog: { received_location: 200, replayed_location: 150 } },
    { isPrimary: false, walPosition: 200n, leaseLeftMs: undefined, failoverPriority: 1, isOurs: false },
  ],
  [
    'a standby that received nothing since its start',
    { role: 'replica', xlog: { received_location: 0, replayed_location: 150 } },
    { walPosition: 150n },
  ],
  [
    'an agent of before 4.0',
    { role: 'master', wal: { location: 7 } },
    { isPrimary: true, role: 'primary', walPosition: 7n },
  ],
  [
    'a position that passes 2^53',
    { role: 'replica', xlog: { received_location: 9007199254740993n, replayed_location: 1 } },
    { walPosition: 9007199254740993n },
  ],
  [
    'a server that is down',
    { state: 'stopped', role: 'demoted' },
    { isReachable: true, isPrimary: false, walPosition: undefined },
  ],
  ['a member that must not lead', { tags: { nofailover: true } }, { mayLead: false, failoverPriority: 0 }],
  ['a member with a priority', { tags: { failover_priority: '3' } }, { mayLead: true, failoverPriority: 3 }],
  [
    'storage that refuses writes',
    { pgherd: { storage_refuses: 'No space left on device' } },
    { storageRefusal: 'No space left on device' },
  ],
  ['storage that hangs', { pgherd: { storage_unanswered_ms: 1500 } }, { storageSilentMs: 1500 }],
  ['a failed watchdog', { watchdog_failed: true }, { watchdogFailed: true }],
]
for (const [what, document, want] of documents) {
  test(`the answer of ${what} is understood`, () => {
    const answer = parsePeerAnswer('pg2', document)
    for (const [key, value] of Object.entries(want))
      assert.deepEqual(answer[key as keyof typeof answer], value, key)
  })
}

/** A server that answers every connection with `bytes` after `delayMs`; undefined: never. */
async function peer(t: TestContext, bytes: string | undefined, delayMs = 0): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => {
      if (bytes !== undefined) setTimeout(() => socket.end(bytes), delayMs)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return `http://127.0.0.1:${address.port}/patroni`
}

function client(t: TestContext): PeerClient {
  const peers = new PeerClient()
  t.after(() => peers.close())
  return peers
}

test('an HTTP/1.0 answer that ends with the connection is read, whatever its status', async t => {
  const url = await peer(t, 'HTTP/1.0 503 Service Unavailable\r\n\r\n{"role":"replica","timeline":4}')
  const answer = await client(t).ask('pg2', url, Deadline.in(realClock, 2_000))
  assert.equal(answer.isReachable, true)
  assert.equal(answer.timeline, 4)
})

test('all are asked at once, and one that never answers costs only itself', async t => {
  const good = await peer(t, 'HTTP/1.0 200 OK\r\n\r\n{"role":"replica"}', 50)
  const silent = await peer(t, undefined)
  const began = performance.now()
  const answers = await client(t).askAll(
    new Map([
      ['good', good],
      ['silent', silent],
      ['refused', 'http://127.0.0.1:1/patroni'],
      ['nonsense', 'no url at all'],
    ]),
    Deadline.in(realClock, 300),
  )
  const tookMs = performance.now() - began
  assert.deepEqual(
    answers.map(answer => [answer.name, answer.isReachable]),
    [
      ['good', true],
      ['silent', false],
      ['refused', false],
      ['nonsense', false],
    ],
  )
  assert.ok(tookMs < 1_500, `took ${tookMs} ms`)
})

test('an endless or malformed answer counts as no answer', async t => {
  const long = await peer(t, `HTTP/1.0 200 OK\r\n\r\n{"a":"${'x'.repeat(600_000)}"}`)
  const html = await peer(t, 'HTTP/1.0 200 OK\r\n\r\n<html>')
  const garbage = await peer(t, 'SSH-2.0-OpenSSH\r\n')
  for (const url of [long, html, garbage]) {
    assert.deepEqual(await client(t).ask('pg2', url, Deadline.in(realClock, 2_000)), unreachable('pg2'))
  }
})

test('a question ends at once when it is called off', async t => {
  const url = await peer(t, undefined)
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 20)
  const began = performance.now()
  const answer = await client(t).ask('pg2', url, Deadline.in(realClock, 5_000), controller.signal)
  assert.equal(answer.isReachable, false)
  assert.ok(performance.now() - began < 1_000)
})
