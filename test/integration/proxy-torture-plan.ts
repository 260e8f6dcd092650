// What a session of the torture is to do, which bytes it must get, and how it went.

import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'

/** What every session's bytes are cut from; each begins at another place, so bytes of another session are wrong here. */
const material = randomBytes(1_000_003)
export const HEADER_BYTES = 16
type Abort = 'client' | 'server' | undefined

/** What a session is to do; all of it follows from its number. */
export interface Plan {
  readonly seed: number
  readonly upBytes: number
  readonly downBytes: number
  readonly abort: Abort
  /** Bytes after which the one who aborts does so. */
  readonly abortAt: number
  /** Who stops reading in the middle, and for how long. */
  readonly staller: 'client' | 'server' | undefined
  readonly stallsMs: number
  readonly serverEndsFirst: boolean
}

/** How one session went, as far as its two ends know. */
export interface Fate {
  readonly plan: Plan
  /** What its client and its server have begun to send. */
  sentUp: number
  sentDown: number
  receivedUp: number
  receivedDown: number
  /** Was something done to its server while it was there? Only then may it be shortened. */
  isTouched: boolean
  /** Set by a cut: nothing that was sent later may arrive. */
  cut: { readonly atMs: number; readonly sentUp: number; readonly sentDown: number } | undefined
}

/** Each client comes from an address of its own: by that the proxy's sessions are known. */
export function addressOf(seed: number): string {
  return `127.${1 + (seed >> 16)}.${(seed >> 8) & 255}.${seed & 255}`
}

/** All sessions under way, by their client's address. */
export class Fates {
  readonly #bySource = new Map<string, Fate>()
  readonly #wrong: string[]

  constructor(wrong: string[]) {
    this.#wrong = wrong
  }

  begin(plan: Plan): Fate {
    const sizes = { sentUp: 0, sentDown: 0, receivedUp: 0, receivedDown: 0 }
    const fate = { plan, ...sizes, isTouched: false, cut: undefined }
    this.#bySource.set(addressOf(plan.seed), fate)
    return fate
  }

  of(source: string): Fate | undefined {
    return this.#bySource.get(source)
  }

  clear(): void {
    this.#bySource.clear()
  }

  /** Bytes came: are they those that come next, and were they sent before a cut, if there was one? */
  check(fate: Fate, way: 'up' | 'down', bytes: Buffer): void {
    const { plan, cut } = fate
    const [from, before] =
      way === 'up' ? [upFrom(plan), fate.receivedUp] : [downFrom(plan), fate.receivedDown]
    if (!isRight(bytes, from, before)) this.#wrong.push(`${way} ${plan.seed} at ${before}`)
    const after = before + bytes.length
    if (way === 'up') fate.receivedUp = after
    else fate.receivedDown = after
    if (cut !== undefined && after > (way === 'up' ? cut.sentUp : cut.sentDown))
      this.#wrong.push(`${way} ${plan.seed}: a byte that was sent after the cut passed, at ${before}`)
  }
}

/** Node forgets to close a socket that is told to reset while its FIN waits behind bytes that are not taken. */
export function resetNow(socket: Socket): void {
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

export function planOf(seed: number): Plan {
  const next = random(seed)
  const size = () => Math.floor(next() < 0.05 ? next() * 1_500_000 : next() * next() * 120_000)
  const [upBytes, downBytes] = [size(), size()]
  const dice = next()
  const abort = dice < 0.1 ? 'client' : dice < 0.2 ? 'server' : undefined
  const abortAt = Math.floor(next() * (abort === 'client' ? downBytes : upBytes))
  const stall = next()
  const staller = stall < 0.1 ? 'client' : stall < 0.2 ? 'server' : undefined
  const stallsMs = 50 + next() * 200
  return { seed, upBytes, downBytes, abort, abortAt, staller, stallsMs, serverEndsFirst: next() < 0.3 }
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

export const upFrom = ({ seed }: Plan) => (seed * 7919) % material.length
export const downFrom = ({ seed }: Plan) => (seed * 104_729 + 500_000) % material.length

/** Writes so many bytes in pieces of all sizes, as fast as they are taken, then `then`. `onSent` is told the sum before each. */
export function pour(
  socket: Socket,
  [from, length, seed]: readonly [number, number, number],
  onSent: (bytes: number) => void,
  then: () => void,
): void {
  const next = random(seed ^ 0x5bd1e995)
  let sent = 0
  const more = () => {
    while (sent < length) {
      if (socket.destroyed) return
      const at = (from + sent) % material.length
      const piece = Math.min(1 + Math.floor(next() ** 4 * 70_000), length - sent, material.length - at)
      sent += piece
      onSent(sent)
      if (!socket.write(material.subarray(at, at + piece))) {
        socket.once('drain', more)
        return
      }
    }
    then()
  }
  more()
}
