// The REST server of a real leader under callers that mean no good: checks are answered, the lease goes on, memory stays
// bounded.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import test, { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { rawAnswer, rawExchange } from '../support/raw-http.ts'

const { cluster } = await startCluster({ after }, { etcd: 1, members: 1, proxies: 0 })
const leader = await cluster.leader()
const { address } = leader.host
const { restPort } = leader.config

const CHECKS_PER_SECOND = 200
const STALL_GOAL_MS = 100
const MARGIN = 5

/** Asks at a steady pace, whatever the answers do; returns how long each took, sorted. */
async function checks(seconds: number, target: string): Promise<readonly number[]> {
  const took: number[] = []
  const calls: Promise<void>[] = []
  const beganMs = performance.now()
  for (let n = 0; n < seconds * CHECKS_PER_SECOND; n += 1) {
    const dueMs = beganMs + (n * 1000) / CHECKS_PER_SECOND
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await new Promise(resolve => setTimeout(resolve, waitMs))
    const sentMs = performance.now()
    calls.push(
      rawAnswer(address, restPort, 'OPTIONS', target).then(answer => {
        took.push(performance.now() - sentMs)
        assert.equal(answer.code, 200)
      }),
    )
  }
  await Promise.all(calls)
  return took.sort((a, b) => a - b)
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

async function metric(name: string): Promise<number> {
  const { body } = await leader.rest('/metrics', { signal: AbortSignal.timeout(10_000) })
  const value = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(body)?.[1]
  assert.ok(value !== undefined, `no metric ${name}`)
  return Number(value)
}

async function open(count: number, bytes: string): Promise<readonly Socket[]> {
  const sockets: Socket[] = []
  for (let n = 0; n < count; n += 100) {
    const batch = Array.from({ length: Math.min(100, count - n) }, () => {
      const socket = connect(restPort, address)
      socket.on('error', () => {})
      socket.on('connect', () => bytes !== '' && socket.write(bytes))
      return socket
    })
    sockets.push(...batch)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return sockets
}

const big = 'x'.repeat(200_000)
const bad: readonly (readonly [string, string, number])[] = [
  ['no JSON', 'PATCH /config HTTP/1.0\r\nContent-Length: 4\r\n\r\n{"a"', 400],
  ['deep JSON', `PATCH /config HTTP/1.0\r\nContent-Length: 100000\r\n\r\n${'['.repeat(100_000)}`, 400],
  ['an oversized body', 'PATCH /config HTTP/1.0\r\nContent-Length: 99999999999\r\n\r\n{', 413],
  ['a length that is no number', 'PATCH /config HTTP/1.0\r\nContent-Length: many\r\n\r\n{}', 400],
  ['two lengths', 'PATCH /config HTTP/1.0\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}', 400],
  ['oversized headers', `GET / HTTP/1.0\r\nX-Big: ${big}\r\n\r\n`, 400],
  ['a NUL in the path', 'GET /\0 HTTP/1.0\r\n\r\n', 400],
  ['another protocol', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ['a path that climbs', 'GET /../../etc/passwd HTTP/1.0\r\n\r\n', 503],
  ['an encoded path that climbs', 'GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.0\r\n\r\n', 503],
  [
    'a property of every object as endpoint',
    'POST /constructor HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}',
    501,
  ],
  [
    'a property of every object as key',
    'POST /restart HTTP/1.0\r\nContent-Length: 15\r\n\r\n{"__proto__":1}',
    400,
  ],
  ['a method that nobody knows', 'BREW / HTTP/1.0\r\n\r\n', 501],
  [
    'a form for JSON',
    'POST /restart HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b',
    400,
  ],
]
for (const [what, bytes, code] of bad) {
  test(`${what} is answered with ${code} and changes nothing`, async () => {
    const before = (await leader.rest('/config')).body
    const answer = await rawExchange(address, restPort, bytes).catch((error: Error) => error.message)
    assert.match(answer, new RegExp(`^HTTP/1\\.0 ${code} `))
    assert.equal((await leader.rest('/config')).body, before)
  })
}

test('a body that does not come is answered with 408 in time', async t => {
  const beganMs = performance.now()
  const bytes = 'PATCH /config HTTP/1.0\r\nContent-Length: 10\r\n\r\n{'
  const answer = await rawExchange(address, restPort, bytes, 30_000)
  t.diagnostic(`after ${Math.round(performance.now() - beganMs)} ms`)
  assert.match(answer, /^HTTP\/1\.0 408 /)
  assert.ok(performance.now() - beganMs < 25_000)
})

test('2,000 idle connections, slow callers and floods: checks are answered, nothing stalls, memory is bounded', async t => {
  const key = await cluster.leaderKey()
  const memoryBefore = await metric('pgherd_process_resident_memory_bytes')
  await metric('pgherd_nodejs_eventloop_lag_max_seconds')
  const sockets = [
    ...(await open(2_000, '')),
    ...(await open(200, 'GET / HTTP/1.1\r\nX-Slow: ')),
    ...(await open(200, 'PATCH /config HTTP/1.0\r\nContent-Length: 200000\r\n\r\n{"a": "')),
  ]
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  let isOver = false
  const flood = (async () => {
    while (!isOver) {
      const some = bad.map(([, bytes]) => rawExchange(address, restPort, bytes).catch(() => ''))
      await Promise.all(some)
    }
  })()
  const took = await checks(5, '/primary')
  isOver = true
  await flood
  const stallMs = (await metric('pgherd_nodejs_eventloop_lag_max_seconds')) * 1000
  const memory = await metric('pgherd_process_resident_memory_bytes')
  t.diagnostic(
    `checks: p50 ${at(took, 0.5).toFixed(2)} ms, p99 ${at(took, 0.99).toFixed(1)} ms; longest stall of the agent ${stallMs.toFixed(0)} ms; ` +
      `memory ${(memoryBefore / 2 ** 20).toFixed(0)} -> ${(memory / 2 ** 20).toFixed(0)} MB`,
  )
  assert.ok(stallMs < STALL_GOAL_MS * MARGIN, `the agent stood still for ${stallMs} ms`)
  assert.ok(memory - memoryBefore < 200 * 2 ** 20, `${memory - memoryBefore} bytes more`)
  assert.equal(await cluster.leaderKey(), key)
  assert.equal((await leader.status()).role, 'primary')
})
