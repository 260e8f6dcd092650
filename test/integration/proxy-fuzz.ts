// Clients that send anything, connect and leave: what is left of them afterwards. Shared by the short and the long run.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { type Clock, realClock, type Timer } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { cancelRequest, gssRequest, splits, sslRequest, startup } from '../unit/proxy/bytes.ts'
import { first, greeting, type Rig, rig, secret, untilEmpty } from './proxy-listener-rig.ts'
import { dial } from './proxy-wire.ts'

const WITHIN_MS = 60_000

/** A server that greets each session and sends back every byte that comes after the start-up. */
export async function echoing(t: TestContext): Promise<Backend> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    let isGreeted = false
    socket.on('error', () => {})
    socket.on('data', chunk => {
      const rest = isGreeted ? chunk : chunk.subarray(first.length)
      if (!isGreeted) socket.write(greeting)
      isGreeted = true
      if (rest.length > 0) socket.write(rest)
    })
    socket.on('end', () => socket.end())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const bound = server.address()
  assert.ok(bound !== null && typeof bound === 'object')
  return new Backend('pg1', { host: '127.0.0.1', port: bound.port }, realClock)
}

/** Bytes from a seed, so that a failure can be repeated. */
export function noise(seed: number, length: number): Buffer {
  const blocks: Buffer[] = []
  for (let at = 0; at < length; at += 32) blocks.push(createHash('sha256').update(`${seed}:${at}`).digest())
  return Buffer.concat(blocks).subarray(0, length)
}

/** First packets of every kind, whole and malformed. */
export function firstPackets(seed: number): readonly Buffer[] {
  const long = startup({ user: 'u' })
  const wrongLength = Buffer.from(long)
  wrongLength.writeUInt32BE(3, 0)
  const huge = Buffer.from(long)
  huge.writeUInt32BE(0x7fff_ffff, 0)
  const tls = Buffer.concat([Buffer.from([0x16, 3, 1, 0, 40]), noise(seed, 40)])
  const requests = [sslRequest, gssRequest, cancelRequest(1, secret), cancelRequest(1, noise(seed, 32))]
  return [
    ...requests,
    wrongLength,
    huge,
    tls,
    noise(seed, 64),
    Buffer.from('GET / HTTP/1.0\r\n\r\n'),
    Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n'),
  ]
}

/** Sends a packet in two pieces and leaves. */
export async function sendSplit(made: Rig, [head, tail]: readonly [Buffer, Buffer]): Promise<void> {
  const client = await dial(made.address)
  client.socket.write(head)
  if (tail.length > 0) {
    await sleep(1)
    client.socket.write(tail)
  }
  await sleep(1)
  client.socket.destroy()
}

/** A session that sends bytes of its own and gets exactly those back. */
export async function checked(made: Rig, seed: number, length: number): Promise<void> {
  const client = await dial(made.address)
  const bytes = noise(seed, length)
  client.socket.write(Buffer.concat([first, bytes]))
  await client.until('its own bytes', () => client.bytes >= greeting.length + length, WITHIN_MS)
  const got = client.received.subarray(greeting.length)
  assert.ok(got.equals(bytes), `session ${seed} got other bytes than its own`)
  client.socket.destroy()
}

/** What a process holds now: descriptors, and the heap after a collection where that can be asked for. */
export async function held(): Promise<{
  readonly descriptors: number
  readonly heapBytes: number | undefined
}> {
  const collect = (globalThis as { gc?: () => void }).gc
  collect?.()
  const descriptors = (await readdir('/proc/self/fd')).length
  return { descriptors, heapBytes: collect === undefined ? undefined : process.memoryUsage().heapUsed }
}

/** Knows how many timers are still to fire. */
class CountingClock implements Clock {
  pending = 0

  monotonicMs(): number {
    return realClock.monotonicMs()
  }

  wallMs(): number {
    return realClock.wallMs()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    this.pending += 1
    let isOver = false
    const end = () => {
      if (!isOver) this.pending -= 1
      isOver = true
    }
    const timer = realClock.setTimer(delayMs, () => {
      end()
      run()
    })
    return {
      cancel: () => {
        end()
        timer.cancel()
      },
    }
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return realClock.sleep(delayMs, signal)
  }
}

/**
 * Three equal rounds of all that, each first packet cut at `cutsMax` places at most; the third leaves no more behind than the
 * second, and no timer is left.
 */
export async function threeRounds(t: TestContext, sessions: number, cutsMax: number): Promise<void> {
  const clock = new CountingClock()
  const made = await rig(t, { sessionsMax: 2000, clock })
  const backend = await echoing(t)
  made.backends = [backend]
  const left: Awaited<ReturnType<typeof held>>[] = []
  for (let round = 0; round < 3; round += 1) {
    for (const packet of firstPackets(7)) {
      const every = Math.max(1, Math.ceil(packet.length / cutsMax))
      const pieces = [...splits(packet)].filter((_, index) => index % every === 0)
      await Promise.all(pieces.map(piece => sendSplit(made, piece)))
    }
    for (let from = 0; from < sessions; from += 50) {
      const batch = Array.from({ length: Math.min(50, sessions - from) }, (_, index) => from + index)
      await Promise.all(batch.map(seed => checked(made, seed, 1000 + (seed % 7) * 5000)))
    }
    await untilEmpty(made)
    await waitFor('the server to be left', { withinMs: WITHIN_MS }, () => backend.sessions.size === 0)
    await waitFor('all timers to be over', { withinMs: WITHIN_MS }, note => {
      note(String(clock.pending))
      return clock.pending === 0
    })
    await sleep(200)
    left.push(await held())
  }
  const [, second, third] = left
  assert.ok(second !== undefined && third !== undefined)
  t.diagnostic(
    `after rounds 2 and 3: ${second.descriptors} and ${third.descriptors} descriptors, heap ${second.heapBytes} and ${third.heapBytes}`,
  )
  assert.deepEqual(
    [made.listener.sessions.size, made.listener.taken, made.listener.hold.size, backend.sessionsOf('write')],
    [0, 0, 0, 0],
  )
  assert.ok(third.descriptors <= second.descriptors * 1.05 + 1)
  if (second.heapBytes !== undefined && third.heapBytes !== undefined)
    assert.ok(third.heapBytes <= second.heapBytes * 1.05)
}
