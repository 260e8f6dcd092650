// What is done for connections that last. One that we made gets its keepalive and its limit on unacknowledged data at the first
// look: both count seconds, and most sessions of a storm are over before. And a peer that has stopped reading says so (its window
// is closed) and answers the kernel's probes: it is there, however long it takes. Its limit is taken off meanwhile.

/** Between two looks, at most. */
const LOOK_EVERY_MS_MAX = 15_000
/** The kernel counts from the first byte or probe that was not answered: several looks fit into any limit. */
const LOOKS_IN_A_LIMIT = 4
const LOOK_EVERY_MS_MIN = 50
/** So many connections are looked at before anything else of the process gets its turn. */
const BATCH = 200
/** Probes of a closed window come up to two minutes apart. */
const ANSWERS_WITHIN_MS = 150_000

/** Places of the numbers in struct tcp_info (linux/tcp.h); they have never moved. */
const UNACKED = 24
const LAST_ACK_MS = 56
const NOT_SENT = 144
const SEND_WINDOW = 228

export interface StalledPeersOptions {
  /** struct tcp_info of a descriptor. */
  read(descriptor: number): Buffer | undefined
  /** Sets the limit; 0: none. */
  set(descriptor: number, limitMs: number): void
}

export interface Followable {
  /** Negative when it is closed. */
  readonly fd?: number
  setKeepAlive?(isOn: boolean, delaySeconds: number): unknown
}

/** What a connection has, or is to have from the first look on. */
export interface PeerLimits {
  /** On unacknowledged data; undefined: the kernel's own. */
  readonly unackedMs?: number | undefined
  /** Keepalive's first probe after this much silence; undefined: it has what it needs. */
  readonly keepAliveMs?: number
}

interface Followed {
  readonly handle: Followable
  readonly limits: PeerLimits
  isSet: boolean
  isLifted: boolean
}

export class StalledPeers {
  readonly #options: StalledPeersOptions
  readonly #followed = new Map<Followable, Followed>()
  #everyMs = LOOK_EVERY_MS_MAX
  #timer: NodeJS.Timeout | undefined
  /** Is a look under way, whose end sets the timer? */
  #isLooking = false

  constructor(options: StalledPeersOptions) {
    this.#options = options
  }

  /** Follows a connection that has its limit, until it is forgotten, or found closed. */
  follow(handle: Followable, limits: PeerLimits): void {
    this.#follow({ handle, limits, isSet: true, isLifted: false })
  }

  /** The same for one that gets its limit, and its keepalive, at the first look. */
  prepare(handle: Followable, limits: PeerLimits): void {
    this.#follow({ handle, limits, isSet: false, isLifted: false })
  }

  #follow(one: Followed): void {
    this.#followed.set(one.handle, one)
    const { unackedMs = LOOK_EVERY_MS_MAX * LOOKS_IN_A_LIMIT, keepAliveMs = unackedMs } = one.limits
    const everyMs = Math.max(LOOK_EVERY_MS_MIN, Math.min(unackedMs, keepAliveMs) / LOOKS_IN_A_LIMIT)
    if (everyMs < this.#everyMs) {
      this.#everyMs = everyMs
      clearTimeout(this.#timer)
      this.#timer = undefined
    }
    if (!this.#isLooking) this.#arm()
  }

  forget(handle: Followable): void {
    this.#followed.delete(handle)
  }

  get size(): number {
    return this.#followed.size
  }

  /** It keeps nobody's process alive: without sessions there is nothing to look at. */
  #arm(): void {
    this.#timer ??= setTimeout(() => this.#look([...this.#followed.values()], 0), this.#everyMs).unref()
  }

  #look(all: readonly Followed[], from: number): void {
    this.#isLooking = true
    for (const one of all.slice(from, from + BATCH)) this.#lookAt(one)
    if (from + BATCH < all.length) {
      setImmediate(() => this.#look(all, from + BATCH))
      return
    }
    this.#isLooking = false
    this.#timer = undefined
    if (this.#followed.size > 0) this.#arm()
    else this.#everyMs = LOOK_EVERY_MS_MAX
  }

  #lookAt(one: Followed): void {
    const { fd: descriptor = -1 } = one.handle
    if (descriptor < 0) {
      this.#followed.delete(one.handle)
      return
    }
    if (!one.isSet) this.#setAll(one, descriptor)
    const { unackedMs } = one.limits
    if (unackedMs === undefined) {
      this.#followed.delete(one.handle)
      return
    }
    const info = this.#options.read(descriptor)
    if (info === undefined) return
    const isStalled = isAliveAndStalled(info)
    if (isStalled === one.isLifted) return
    one.isLifted = isStalled
    this.#options.set(descriptor, isStalled ? 0 : unackedMs)
  }

  #setAll(one: Followed, descriptor: number): void {
    one.isSet = true
    const { keepAliveMs, unackedMs } = one.limits
    // The kernel counts the silence so far.
    if (keepAliveMs !== undefined) one.handle.setKeepAlive?.(true, keepAliveSeconds(keepAliveMs))
    if (unackedMs !== undefined) this.#options.set(descriptor, unackedMs)
  }
}

/** The kernel counts whole seconds, one at least. */
export function keepAliveSeconds(ms: number): number {
  return Math.max(1, Math.floor(ms / 1000))
}

/** Is there something to send that the peer has no room for, and does the peer answer? */
export function isAliveAndStalled(info: Buffer): boolean {
  if (info.length < NOT_SENT + 4) return false
  const isWindowShut = info.length >= SEND_WINDOW + 4 && info.readUInt32LE(SEND_WINDOW) === 0
  const unacked = info.readUInt32LE(UNACKED)
  const notSent = info.readUInt32LE(NOT_SENT)
  const waits = unacked + notSent > 0
  return waits && (isWindowShut || unacked === 0) && info.readUInt32LE(LAST_ACK_MS) < ANSWERS_WITHIN_MS
}
