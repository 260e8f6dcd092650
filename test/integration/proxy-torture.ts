// Many sessions at once that do everything a connection can do, with every byte checked at both ends. Shared by the short
// and the long run.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { HostPort } from '../../src/cluster/member.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import type { Transport } from '../../src/proxy/relay/wire.ts'
import { Threads } from '../../src/proxy/threads/threads.ts'
import { first, greeting, type Rig, rig, untilEmpty } from './proxy-listener-rig.ts'

/** What every session's bytes are cut from; each begins at another place, so bytes of another session are wrong here. */
const material = randomBytes(1_000_003)
const HEADER_BYTES = 16
const AT_ONCE = 300
const WITHIN_MS = 120_000
/** Between two cuts of one of the servers, or kills of its side of all its connections. */
const FAULT_EVERY_MS = 200
const SETTLE_MS = 300

type Abort = 'client' | 'server' | undefined

/** What a session is to do; all of it follows from its number. */
interface Plan {
  readonly seed: number
  readonly upBytes: number
  readonly downBytes: number
  readonly abort: Abort
  /** Bytes after which the one who aborts does so. */
  readonly abortAt: number
  readonly stallsMs: number
  readonly serverEndsFirst: boolean
}

export interface Tally {
  whole: number
  aborted: number
  /** Ended by a cut or a killed server, with a right beginning of all bytes. */
  shortened: number
  bytes: number
  cutSessions: number
}

/** Node forgets to close a socket that is told to reset while its FIN waits behind bytes that are not taken. */
function resetNow(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy()
  else socket.resetAndDestroy()
}

/** A small generator of its own, so that a session's plan does not depend on others. */
function random(seed: number): () => number {
  let state = (seed * 0x9e3779b1) >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0
    const mixed = Math.imul(state ^ (state >>> 12), 0x297a2d39) >>> 0
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32
  }
}

function planOf(seed: number): Plan {
  const next = random(seed)
  const size = () => Math.floor(next() < 0.05 ? next() * 1_500_000 : next() * next() * 120_000)
  const [upBytes, downBytes] = [size(), size()]
  const dice = next()
  const abort = dice < 0.1 ? 'client' : dice < 0.2 ? 'server' : undefined
  const abortAt = Math.floor(next() * (abort === 'client' ? downBytes : upBytes))
  const stallsMs = next() < 0.1 ? 50 + next() * 200 : 0
  return { seed, upBytes, downBytes, abort, abortAt, stallsMs, serverEndsFirst: next() < 0.3 }
}

/** Are these the bytes that stand at this offset of the stream that begins at `from`? */
function isRight(bytes: Buffer, from: number, offset: number): boolean {
  let at = (from + offset) % material.length
  let rest = bytes
  while (rest.length > 0) {
    const part = rest.subarray(0, material.length - at)
    if (!part.equals(material.subarray(at, at + part.length))) return false
    rest = rest.subarray(part.length)
    at = 0
  }
  return true
}

const upFrom = ({ seed }: Plan) => (seed * 7919) % material.length
const downFrom = ({ seed }: Plan) => (seed * 104_729 + 500_000) % material.length

/** Writes so many bytes in pieces of all sizes, as fast as they are taken, then `then`. */
function pour(socket: Socket, from: number, length: number, seed: number, then: () => void): void {
  const next = random(seed ^ 0x5bd1e995)
  let sent = 0
  const more = () => {
    while (sent < length) {
      if (socket.destroyed) return
      const at = (from + sent) % material.length
      const piece = Math.min(1 + Math.floor(next() ** 4 * 70_000), length - sent, material.length - at)
      sent += piece
      if (!socket.write(material.subarray(at, at + piece))) {
        socket.once('drain', more)
        return
      }
    }
    then()
  }
  more()
}

/** The servers' side: knows what each client must send from the header that comes first. */
class Side {
  readonly backend: Backend
  readonly wrong: string[]
  readonly received = new Map<number, number>()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(name: string, server: Server, address: HostPort, wrong: string[]) {
    this.#server = server
    this.wrong = wrong
    this.backend = new Backend(name, address, realClock)
    server.on('connection', socket => this.#serve(socket))
  }

  static async open(name: string, wrong: string[]): Promise<Side> {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', 4096, resolve))
    const bound = server.address()
    assert.ok(bound !== null && typeof bound === 'object')
    return new Side(name, server, { host: '127.0.0.1', port: bound.port }, wrong)
  }

  /** Every connection is gone at once, as when the server's host dies. */
  kill(): void {
    for (const socket of this.#sockets) resetNow(socket)
  }

  close(): void {
    this.#server.close()
    this.kill()
  }

  #serve(socket: Socket): void {
    let head = Buffer.alloc(0)
    let plan: Plan | undefined
    let received = 0
    let isGreeted = false
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      let bytes = chunk
      if (plan === undefined) {
        head = Buffer.concat([head, chunk])
        if (!isGreeted && head.length >= first.length) {
          isGreeted = true
          socket.write(greeting)
        }
        if (head.length < first.length + HEADER_BYTES) return
        plan = planOf(head.readUInt32BE(first.length))
        bytes = head.subarray(first.length + HEADER_BYTES)
        this.#answer(socket, plan)
      }
      if (!isRight(bytes, upFrom(plan), received)) this.wrong.push(`up ${plan.seed} at ${received}`)
      received += bytes.length
      this.received.set(plan.seed, received)
      if (plan.abort === 'server' && received > plan.abortAt) resetNow(socket)
    })
    socket.on('end', () => {
      if (plan?.serverEndsFirst !== true) socket.end()
    })
  }

  #answer(socket: Socket, plan: Plan): void {
    pour(socket, downFrom(plan), plan.downBytes, plan.seed, () => {
      if (plan.serverEndsFirst) socket.end()
    })
  }
}

/** One session from its client's side; resolves when it is over. */
function session(address: HostPort, plan: Plan, tally: Tally, wrong: string[]): Promise<void> {
  return new Promise(resolve => {
    const socket = connect({ ...address, allowHalfOpen: true, noDelay: true })
    let greeted = Buffer.alloc(0)
    let received = 0
    let hasEnded = false
    let isTold = false
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(plan.seed, 0)
    socket.setTimeout(WITHIN_MS, () => {
      wrong.push(`session ${plan.seed} hangs after ${received} of ${plan.downBytes} bytes`)
      socket.destroy()
    })
    socket.write(first)
    socket.on('error', () => {})
    const onBytes = (bytes: Buffer) => {
      if (isTold || bytes.length === 0) return
      // A cut between the greeting and the first byte says why; in the middle of bytes it must not.
      isTold = received === 0 && bytes[0] === 0x45 && bytes.includes('57P01') && bytes.includes('terminating')
      if (isTold) return
      if (!isRight(bytes, downFrom(plan), received)) wrong.push(`down ${plan.seed} at ${received}`)
      received += bytes.length
      if (plan.abort === 'client' && received > plan.abortAt) resetNow(socket)
      else if (plan.stallsMs > 0 && received > plan.downBytes / 2) stall()
    }
    let hasStalled = false
    const stall = () => {
      if (hasStalled) return
      hasStalled = true
      socket.pause()
      setTimeout(() => socket.resume(), plan.stallsMs)
    }
    socket.on('data', (chunk: Buffer) => {
      const missing = greeting.length - greeted.length
      if (missing === 0 || isTold) {
        onBytes(chunk)
        return
      }
      greeted = Buffer.concat([greeted, chunk.subarray(0, missing)])
      if (greeted.length < greeting.length) return
      // A cut before the greeting says why, too: an error message comes in its place.
      if (greeted[0] === 0x45 && `${greeted}${chunk}`.includes('57P0')) {
        isTold = true
        return
      }
      if (!greeted.equals(greeting)) wrong.push(`greeting of ${plan.seed}`)
      socket.write(header)
      pour(socket, upFrom(plan), plan.upBytes, plan.seed + 1, () => socket.end())
      onBytes(chunk.subarray(missing))
    })
    socket.on('end', () => {
      hasEnded = true
      socket.end()
    })
    socket.on('close', () => {
      const isWhole = hasEnded && !isTold && received === plan.downBytes
      if (isWhole) tally.whole += 1
      else if (plan.abort === undefined) tally.shortened += 1
      else tally.aborted += 1
      tally.bytes += received
      resolve()
    })
  })
}

const collectGarbage = gc()

function gc(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

export interface Memory {
  readonly heapMb: number
  readonly rssMb: number
  readonly descriptors: number
}

async function memory(): Promise<Memory> {
  for (let count = 0; count < 3; count += 1) {
    collectGarbage()
    await sleep(SETTLE_MS)
  }
  const { heapUsed, rss } = process.memoryUsage()
  const descriptors = (await readdir('/proc/self/fd')).length
  return { heapMb: heapUsed / 2 ** 20, rssMb: rss / 2 ** 20, descriptors }
}

/** Cuts the sessions of a server as when a newer epoch begins: from then on none of them may move a byte. */
async function cut(made: Rig, { backend }: Side, tally: Tally, wrong: string[]): Promise<void> {
  const sessions = [...made.listener.sessions].filter(one => one.backend === backend && one.hasBegun)
  tally.cutSessions += backend.retire('newer-epoch', 'another one leads').begun
  // In threads the counters are known to a second only: there, what was moved before the cut is told after it.
  if (made.transport instanceof Threads) return
  const moved = () => sessions.map(one => one.counters()).map(one => [one?.toServerBytes, one?.toClientBytes])
  const before = moved()
  await sleep(SETTLE_MS)
  for (const [index, after] of moved().entries())
    if (after.join() !== before[index]?.join())
      wrong.push(`bytes passed after a cut: ${before[index]}, ${after}`)
}

/** Equal rounds of so many sessions each, 300 at once; asserts all that must hold. */
export async function torture(
  t: TestContext,
  transport: Transport,
  sessionsEach: number,
  faultEveryMs = FAULT_EVERY_MS,
): Promise<void> {
  const wrong: string[] = []
  const sides = await Promise.all(['pg1', 'pg2', 'pg3'].map(name => Side.open(name, wrong)))
  t.after(() => {
    for (const side of sides) side.close()
  })
  const limits = { sessionsMax: 2 * AT_ONCE, heldMax: 2 * AT_ONCE, holdMs: 2_000 }
  const made = await rig(t, { ...limits, transport, pool: 'replica' })
  let turn = 0
  let seed = 0
  let cutSessions = 0
  const found: Memory[] = []
  for (let round = 1; round <= 3; round += 1) {
    const tally: Tally = { whole: 0, aborted: 0, shortened: 0, bytes: 0, cutSessions: 0 }
    const last = seed + sessionsEach
    const worker = async () => {
      while (seed < last) {
        seed += 1
        turn += 1
        made.backends = sides
          .map((_, index) => sides[(turn + index) % sides.length]?.backend)
          .filter(one => one !== undefined)
        await session(made.address, planOf(seed), tally, wrong)
      }
    }
    const isOver = { yes: false }
    const faults = (async () => {
      for (let fault = 0; !isOver.yes; fault += 1) {
        await sleep(faultEveryMs)
        const side = sides[fault % sides.length]
        if (side === undefined || isOver.yes) continue
        if (fault % 2 === 0) await cut(made, side, tally, wrong)
        else side.kill()
        made.listener.release()
      }
    })()
    const startedAtMs = performance.now()
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    const tookMs = performance.now() - startedAtMs
    isOver.yes = true
    await faults
    await untilEmpty(made)
    for (const side of sides) {
      side.kill()
      side.received.clear()
    }
    found.push(await memory())
    cutSessions += tally.cutSessions
    t.diagnostic(
      `round ${round}: ${JSON.stringify(tally)} in ${(tookMs / 1000).toFixed(1)} s, heap ${found.at(-1)?.heapMb.toFixed(1)} MB, resident ${found.at(-1)?.rssMb.toFixed(0)} MB`,
    )
    assert.deepEqual(wrong, [])
    assert.equal(tally.whole + tally.aborted + tally.shortened, sessionsEach)
    assert.ok(tally.whole > sessionsEach / 3 && tally.aborted > 0, JSON.stringify(tally))
  }
  assert.ok(cutSessions > 0, 'no cut met a session')
  const [, second, third] = found
  assert.ok(second !== undefined && third !== undefined)
  assert.ok(third.heapMb < second.heapMb * 1.1 + 4, `heap grew from ${second.heapMb} to ${third.heapMb} MB`)
  assert.ok(third.rssMb < second.rssMb * 1.1 + 24, `memory grew from ${second.rssMb} to ${third.rssMb} MB`)
  assert.ok(
    third.descriptors <= second.descriptors + 2,
    `descriptors: ${second.descriptors}, ${third.descriptors}`,
  )
}
