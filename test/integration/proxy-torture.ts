// Many sessions at once that do everything a connection can do, with every byte checked at both ends. Shared by the short
// and the long run.

import assert from 'node:assert/strict'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostPort } from '../../src/cluster/member.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import type { Transport } from '../../src/proxy/relay/wire.ts'
import { Threads } from '../../src/proxy/threads/threads.ts'
import { first, greeting, type Rig, rig, untilEmpty } from './proxy-listener-rig.ts'
import { assertFlat, type Memory, memory } from './proxy-torture-memory.ts'
import {
  addressOf,
  downFrom,
  type Fate,
  Fates,
  HEADER_BYTES,
  planOf,
  pour,
  resetNow,
  upFrom,
} from './proxy-torture-plan.ts'

const AT_ONCE = 300
const WITHIN_MS = 120_000
/** Between two cuts of one of the servers, or kills of its side of all its connections. */
const FAULT_EVERY_MS = 200
const SETTLE_MS = 300
/** Between two sessions of a client in rounds that last for a time: other files run beside this one. */
const PAUSE_MS = 900
/** A retired server's side reads what had come before in the same loop as everybody here, so this is no figure of the proxy. */
const LATE_MS_MAX = 500

export interface Tally {
  whole: number
  aborted: number
  /** Ended by a cut or a killed server, with a right beginning of all bytes. */
  shortened: number
  /** Of the whole ones: those that had to be. */
  untouched: number
  bytes: number
  cutSessions: number
  /** How long after a cut the last byte was read at a retired server's side. */
  latestMs: number
}

/** Stops reading, once, for so long. */
function stalling(socket: Socket): (forMs: number) => void {
  let hasStalled = false
  return forMs => {
    if (hasStalled) return
    hasStalled = true
    socket.pause()
    setTimeout(() => socket.resume(), forMs)
  }
}

/** The servers' side: knows what each client must send from the header that comes first. */
class Side {
  readonly backend: Backend
  latestMs = 0
  readonly #fates: Fates
  readonly #server: Server
  readonly #sockets = new Map<Socket, Fate | undefined>()

  private constructor(name: string, server: Server, address: HostPort, fates: Fates) {
    this.#server = server
    this.#fates = fates
    this.backend = new Backend(name, address, realClock)
    server.on('connection', socket => this.#serve(socket))
  }

  static async open(name: string, fates: Fates): Promise<Side> {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', 4096, resolve))
    const bound = server.address()
    assert.ok(bound !== null && typeof bound === 'object')
    return new Side(name, server, { host: '127.0.0.1', port: bound.port }, fates)
  }

  /** Every connection is gone at once, as when the server's host dies. */
  kill(): void {
    for (const [socket, fate] of this.#sockets) {
      if (fate !== undefined) fate.isTouched = true
      resetNow(socket)
    }
  }

  close(): void {
    this.#server.close()
    this.kill()
  }

  #serve(socket: Socket): void {
    let head = Buffer.alloc(0)
    let fate: Fate | undefined
    let isGreeted = false
    const stall = stalling(socket)
    const ends = { hasCome: false, hasPoured: false }
    const endInTime = () => {
      if (ends.hasPoured && (ends.hasCome || fate?.plan.serverEndsFirst === true)) socket.end()
    }
    this.#sockets.set(socket, undefined)
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      let bytes = chunk
      if (fate === undefined) {
        head = Buffer.concat([head, chunk])
        if (!isGreeted && head.length >= first.length) {
          isGreeted = true
          socket.write(greeting)
        }
        if (head.length < first.length + HEADER_BYTES) return
        fate = this.#fates.of(addressOf(head.readUInt32BE(first.length)))
        assert.ok(fate !== undefined)
        this.#sockets.set(socket, fate)
        bytes = head.subarray(first.length + HEADER_BYTES)
        this.#answer(socket, fate, () => {
          ends.hasPoured = true
          endInTime()
        })
      }
      this.#fates.check(fate, 'up', bytes)
      if (fate.cut !== undefined) this.latestMs = Math.max(this.latestMs, performance.now() - fate.cut.atMs)
      const { plan } = fate
      if (plan.abort === 'server' && fate.receivedUp > plan.abortAt) resetNow(socket)
      else if (plan.staller === 'server' && fate.receivedUp > plan.upBytes / 2) stall(plan.stallsMs)
    })
    socket.on('end', () => {
      ends.hasCome = true
      if (fate === undefined) socket.end()
      else endInTime()
    })
  }

  #answer(socket: Socket, fate: Fate, then: () => void): void {
    const { plan } = fate
    const onSent = (bytes: number) => {
      fate.sentDown = bytes
    }
    pour(socket, [downFrom(plan), plan.downBytes, plan.seed], onSent, then)
  }
}

/** One session from its client's side; resolves when it is over: is it whole, as its client sees it? */
function session(address: HostPort, fate: Fate, fates: Fates, wrong: string[]): Promise<boolean> {
  return new Promise(resolve => {
    const { plan } = fate
    const localAddress = addressOf(plan.seed)
    const socket = connect({ ...address, localAddress, allowHalfOpen: true, noDelay: true })
    let greeted = Buffer.alloc(0)
    let hasEnded = false
    let isTold = false
    let isPouring = false
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(plan.seed, 0)
    socket.setTimeout(WITHIN_MS, () => {
      wrong.push(`session ${plan.seed} hangs after ${fate.receivedDown} of ${plan.downBytes} bytes`)
      socket.destroy()
    })
    socket.write(first)
    socket.on('error', () => {})
    const onBytes = (bytes: Buffer) => {
      if (isTold || bytes.length === 0) return
      const received = fate.receivedDown
      // A cut between the greeting and the first byte says why; in the middle of bytes it must not.
      isTold = received === 0 && bytes[0] === 0x45 && bytes.includes('57P01') && bytes.includes('terminating')
      if (isTold) return
      fates.check(fate, 'down', bytes)
      if (plan.abort === 'client' && fate.receivedDown > plan.abortAt) resetNow(socket)
      else if (plan.staller === 'client' && fate.receivedDown > plan.downBytes / 2) stall(plan.stallsMs)
    }
    const stall = stalling(socket)
    const onSent = (bytes: number) => {
      fate.sentUp = bytes
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
      isPouring = true
      pour(socket, [upFrom(plan), plan.upBytes, plan.seed + 1], onSent, () => {
        isPouring = false
        socket.end()
      })
      onBytes(chunk.subarray(missing))
    })
    socket.on('end', () => {
      hasEnded = true
      // A server that ends first still gets the rest.
      if (!isPouring) socket.end()
    })
    socket.on('close', () => resolve(hasEnded && !isTold && fate.receivedDown === plan.downBytes))
  })
}

/** What is done to this server now may end these sessions before they are whole; returns those that move bytes. */
function touch(made: Rig, { backend }: Side, fates: Fates) {
  const there = [...made.listener.sessions].filter(one => one.backend === backend)
  for (const { source } of there) {
    const fate = fates.of(source)
    if (fate !== undefined) fate.isTouched = true
  }
  return there.filter(({ hasBegun }) => hasBegun)
}

/** Cuts the sessions of a server as when a newer epoch begins: from then on none of them may move a byte. */
async function cut(made: Rig, side: Side, fates: Fates, tally: Tally, wrong: string[]): Promise<void> {
  const sessions = touch(made, side, fates)
  tally.cutSessions += side.backend.retire('newer-epoch', 'another one leads').begun
  const atMs = performance.now()
  for (const { source } of sessions) {
    const fate = fates.of(source)
    if (fate !== undefined) fate.cut = { atMs, sentUp: fate.sentUp, sentDown: fate.sentDown }
  }
  // Of sessions in threads the counters are a tenth of a second old: there the receiving sides alone tell what passed.
  if (made.transport instanceof Threads) return
  const moved = () => sessions.map(one => one.counters()).map(one => [one?.toServerBytes, one?.toClientBytes])
  const before = moved()
  await sleep(SETTLE_MS)
  for (const [index, after] of moved().entries())
    if (after.join() !== before[index]?.join())
      wrong.push(`bytes passed after a cut: ${before[index]}, ${after}`)
}

/** A session whose server nobody touched, and whose ends both wanted it, is whole in both directions. */
async function judge(fates: ReadonlyMap<Fate, boolean>, tally: Tally, wrong: string[]): Promise<void> {
  const untouched = [...fates].filter(([{ isTouched, plan }]) => !isTouched && plan.abort === undefined)
  const isUpWhole = ({ receivedUp, plan }: Fate) => receivedUp === plan.upBytes
  const late = () => untouched.filter(([fate]) => !isUpWhole(fate))
  // All relays are closed: what they passed on is with the kernel.
  for (let waitedMs = 0; late().length > 0 && waitedMs < 5_000; waitedMs += 50) await sleep(50)
  for (const [{ plan, receivedUp, receivedDown }, isWhole] of untouched) {
    if (isWhole && receivedUp === plan.upBytes) continue
    const got = `up ${receivedUp} of ${plan.upBytes}, down ${receivedDown} of ${plan.downBytes} bytes`
    wrong.push(`session ${plan.seed} is not whole, and nobody touched it: ${got}`)
  }
  tally.untouched += untouched.length
}

/** How long one of the three rounds is: so many sessions, or new ones for so long. */
export type RoundLength = { readonly sessions: number } | { readonly ms: number }

/** Equal rounds, 300 sessions at once; asserts all that must hold. */
export async function torture(
  t: TestContext,
  transport: Transport,
  length: RoundLength,
  faultEveryMs = FAULT_EVERY_MS,
): Promise<void> {
  const wrong: string[] = []
  const fates = new Fates(wrong)
  const sides = await Promise.all(['pg1', 'pg2', 'pg3', 'pg4'].map(name => Side.open(name, fates)))
  // Nothing ever happens to the last one: a session that hangs there is not helped out by the next fault.
  const victims = sides.slice(0, -1)
  t.after(() => {
    for (const side of sides) side.close()
  })
  const limits = { sessionsMax: 2 * AT_ONCE, heldMax: 2 * AT_ONCE, holdMs: 2_000 }
  const made = await rig(t, { ...limits, transport, pool: 'replica' })
  let turn = 0
  let seed = 0
  let cutSessions = 0
  const found: Memory[] = []
  let afterFirst = 0
  for (let round = 1; round <= 3; round += 1) {
    const ends = { whole: 0, aborted: 0, shortened: 0, untouched: 0 }
    const tally: Tally = { ...ends, bytes: 0, cutSessions: 0, latestMs: 0 }
    const over = new Map<Fate, boolean>()
    const before = seed
    const startedAtMs = performance.now()
    const goesOn = () =>
      'ms' in length ? performance.now() - startedAtMs < length.ms : seed - before < length.sessions
    const worker = async () => {
      while (goesOn()) {
        seed += 1
        turn += 1
        made.backends = sides
          .map((_, index) => sides[(turn + index) % sides.length]?.backend)
          .filter(one => one !== undefined)
        const fate = fates.begin(planOf(seed))
        over.set(fate, await session(made.address, fate, fates, wrong))
        if ('ms' in length) await sleep(PAUSE_MS)
      }
    }
    const isOver = { yes: false }
    const faults = (async () => {
      for (let fault = 0; !isOver.yes; fault += 1) {
        await sleep(faultEveryMs)
        const side = victims[fault % victims.length]
        if (side === undefined || isOver.yes) continue
        if (fault % 2 === 0) await cut(made, side, fates, tally, wrong)
        else {
          touch(made, side, fates)
          side.kill()
        }
        made.listener.release()
      }
    })()
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    const tookMs = performance.now() - startedAtMs
    isOver.yes = true
    await faults
    await untilEmpty(made)
    for (const { backend } of sides) assert.equal(backend.sessions.size, 0, `${backend.name} keeps sessions`)
    await judge(over, tally, wrong)
    for (const [{ plan, receivedDown }, isWhole] of over) {
      if (isWhole) tally.whole += 1
      else if (plan.abort === undefined) tally.shortened += 1
      else tally.aborted += 1
      tally.bytes += receivedDown
    }
    for (const side of sides) {
      tally.latestMs = Math.max(tally.latestMs, side.latestMs)
      side.latestMs = 0
      side.kill()
    }
    fates.clear()
    over.clear()
    // What the rig noted of each session is not the proxy's memory.
    for (const notes of [made.ended, made.said, made.refused]) notes.length = 0
    found.push(await memory())
    if (round === 1) afterFirst = seed
    cutSessions += tally.cutSessions
    t.diagnostic(
      `round ${round}: ${seed - before} sessions, ${JSON.stringify(tally)} in ${(tookMs / 1000).toFixed(1)} s, heap ${found.at(-1)?.heapMb.toFixed(2)} MB, resident ${found.at(-1)?.rssMb.toFixed(0)} MB`,
    )
    assert.deepEqual(wrong, [])
    const sessionsEach = seed - before
    assert.equal(tally.whole + tally.aborted + tally.shortened, sessionsEach)
    assert.ok(tally.whole > sessionsEach / 3 && tally.aborted > 0, JSON.stringify(tally))
    assert.ok(tally.untouched > sessionsEach / 10, JSON.stringify(tally))
    assert.ok(tally.latestMs < LATE_MS_MAX, `a byte was read ${tally.latestMs} ms after a cut`)
  }
  assert.ok(cutSessions > 0, 'no cut met a session')
  assertFlat(t, found, seed - afterFirst, transport instanceof Threads)
}
