// Keeps addresses of this host's own interfaces. Adding is checked against the clock each time, removing is synchronous, and a
// guard process removes when this one cannot.

import type { Clock, Timer } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { lockNames } from './address-scope.ts'
import type { AddressKeeper, KeeperEvents, Taken, TakeOptions, VipAddress } from './addresses.ts'
import { Announcer } from './announcer.ts'
import { Clearing } from './clearing.ts'
import { GuardLink, noGuard } from './guard-link.ts'
import { probe } from './neighbourhood.ts'
import { removeAddresses } from './removal.ts'
import { type Link, presentOf, Rtnetlink } from './rtnetlink.ts'
import { refuseOnlyAddress, refuseWithoutCapabilities } from './system-check.ts'

/** At most a quarter of the stall limit, so that a pet that comes late is still in time. */
const TICK_MS_MAX = 100
const ASSERT_EVERY_MS = 1_000
const GUARD_AGAIN_MS = 1_000
/** The kernel's own deadline comes so much after the stall limit: for a host on which every process stands still. */
const VALID_SLACK_MS = 2_000
/** A guard that does not answer for so many stall limits is as good as none. */
const GUARD_SILENT_STALLS = 3

export interface LocalKeeperOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly addresses: readonly VipAddress[]
  /** A pause of this process longer than this ends the hold. */
  readonly stallMs: number
  /** Words that start the guard process. */
  readonly guardWords: readonly string[]
  /** What the guard needs to give a lease back; opaque here. */
  readonly store: unknown
  /** Milliseconds since boot, suspend included, the same in every process of this host. */
  readonly kernelMs: () => number
}

export class LocalKeeper implements AddressKeeper {
  readonly addresses: readonly VipAddress[]
  readonly #options: LocalKeeperOptions
  readonly #announcer: Announcer
  readonly #clearing: Clearing
  #netlink: Rtnetlink | undefined
  #guard: GuardLink | undefined
  /** Why it could not be started last time. */
  #guardFailure: string | undefined
  #events: KeeperEvents | undefined
  #timer: Timer | undefined
  /** The take that is under way; aborted by `drop`. */
  #taking: AbortController | undefined
  #isHeld = false
  /** By `kernelMs`; Infinity without a lease. */
  #untilMs = Number.NEGATIVE_INFINITY
  #tickedAtMs: number
  readonly #validSeconds: number
  #assertedAtMs = 0
  #leaseId: bigint | undefined
  #isClosed = false

  constructor(options: LocalKeeperOptions) {
    this.#options = options
    this.addresses = options.addresses
    this.#tickedAtMs = options.kernelMs()
    this.#validSeconds = Math.ceil((options.stallMs + VALID_SLACK_MS) / 1000)
    this.#announcer = new Announcer(options.clock, () => this.#places())
    this.#clearing = new Clearing({
      log: options.log,
      remove: () => removeAddresses(this.addresses, this.#netlink),
      onClean: () => this.#guard?.free(),
      // Another process may have what this one lacks. Said with each try: a parent that falls silent has its lease given back.
      onLeft: () => this.#guard?.hold(0),
    })
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  get lacks(): string | undefined {
    if (this.#netlink === undefined) return undefined
    if (this.#guard === undefined) return noGuard(this.#guardFailure)
    const lost = this.#links().find(({ link }) => link === undefined)
    return lost === undefined ? undefined : `there is no interface ${lost.name}`
  }

  get fault(): string | undefined {
    const down = () => this.#links().find(({ link }) => link?.isRunning === false)?.name
    const name = this.lacks === undefined ? down() : undefined
    return this.lacks ?? (name === undefined ? undefined : `${name} has no carrier`)
  }

  async open(events: KeeperEvents): Promise<void> {
    this.#events = events
    await refuseWithoutCapabilities()
    const netlink = new Rtnetlink()
    this.#netlink = netlink
    for (const vip of this.addresses) {
      const link = netlink.link(vip.interfaceName)
      if (link === undefined)
        throw new UserError(`${vip.address}: this host has no interface ${vip.interfaceName}`)
      refuseOnlyAddress(vip, link, netlink.addresses())
    }
    // Not awaited: a host that is slow, or an earlier process that has not ended yet, must not hold up who starts us.
    this.#startGuardIn(0)
    this.#schedule()
  }

  async take({ untilMs, probe: probes }: TakeOptions): Promise<Taken> {
    if (this.#isHeld) return { outcome: 'held' }
    const controller = new AbortController()
    this.#taking?.abort()
    this.#taking = controller
    try {
      const duplicate = probes ? await this.#findDuplicate(controller.signal) : undefined
      if (controller.signal.aborted) return { outcome: 'cancelled' }
      if (duplicate !== undefined) return duplicate
      return this.#add(untilMs)
    } catch (error) {
      if (controller.signal.aborted) return { outcome: 'cancelled' }
      this.#remove('they could not all be added')
      return { outcome: 'failed', why: messageOf(error) }
    } finally {
      if (this.#taking === controller) this.#taking = undefined
    }
  }

  extend(untilMs: number): void {
    if (!this.check()) return
    this.#untilMs = this.#kernelTime(untilMs)
    this.#pet()
  }

  drop(why: string): void {
    this.#taking?.abort()
    this.#taking = undefined
    if (this.#isHeld) this.#remove(why)
  }

  async settle(by: Deadline): Promise<void> {
    while (!this.#clearing.isOver && !by.isOver()) await this.#options.clock.sleep(TICK_MS_MAX)
  }

  nameLease(leaseId: bigint): void {
    this.#leaseId = leaseId
    this.#guard?.lease(leaseId.toString())
  }

  announce(): void {
    if (this.#isHeld) this.#announcer.start()
  }

  check(): boolean {
    const nowMs = this.#options.kernelMs()
    const pausedMs = nowMs - this.#tickedAtMs
    this.#tickedAtMs = nowMs
    if (!this.#isHeld) return false
    if (pausedMs > this.#options.stallMs)
      this.#lose(`this process stood still for ${Math.round(pausedMs)} ms`)
    else if (nowMs >= this.#untilMs) this.#lose(`the lease could not be renewed in time`)
    else if (this.#isGuardSilent()) this.#lose('the guard process does not answer')
    return this.#isHeld
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.drop('the process is stopping')
    this.#timer?.cancel()
    await this.#guard?.close()
    this.#netlink?.close()
  }

  async #startGuard(): Promise<void> {
    const { clock, guardWords, store, kernelMs, log } = this.#options
    const locks = lockNames(this.addresses)
    const orders = { locks, addresses: this.addresses, command: undefined, environment: {}, store }
    const guard = await GuardLink.start(
      { clock, kernelMs, words: guardWords, orders },
      {
        onDropped: lateMs => {
          if (this.#isHeld) this.#lose(`this process was ${lateMs} ms late, and the guard took them away`)
        },
        onGone: why => {
          this.#guard = undefined
          log.warning(`the guard process ended: ${why}`, { event: 'vip-guard' })
          if (this.#isHeld) this.#lose('the guard process is gone')
          else this.#events?.onChanged()
          this.#startGuardIn(GUARD_AGAIN_MS)
        },
      },
    )
    if (this.#isClosed) return await guard.close()
    // Only now: until it has the lock, another process may hold them rightly.
    this.#clearLeftover()
    if (this.#leaseId !== undefined) guard.lease(this.#leaseId.toString())
    this.#guard = guard
    if (!this.#clearing.isOver) guard.hold(0)
    this.#events?.onChanged()
  }

  #clearLeftover(): void {
    const removal = removeAddresses(this.addresses, this.#netlink)
    const why = 'an earlier owner left it behind'
    for (const line of removal.removed) this.#options.log.warning(`${line}: ${why}`, { event: 'vip-cleared' })
    if (removal.failed.length > 0) this.#clearing.begin(why)
  }

  #startGuardIn(delayMs: number): void {
    const { clock, log } = this.#options
    clock.setTimer(delayMs, () => {
      if (this.#isClosed || this.#guard !== undefined) return
      this.#startGuard().catch((error: unknown) => {
        if (this.#isClosed) return
        this.#guardFailure = messageOf(error)
        log.warning(this.#guardFailure, { event: 'vip-guard' })
        this.#startGuardIn(GUARD_AGAIN_MS)
        this.#events?.onChanged()
      })
    })
  }

  async #findDuplicate(signal: AbortSignal): Promise<Taken | undefined> {
    const answers = this.#places().map(async ({ link, vip }) => {
      const mac = await probe(this.#options.clock, link, vip, signal)
      return mac === undefined ? undefined : ({ outcome: 'duplicate', address: vip.address, mac } as const)
    })
    return (await Promise.all(answers)).find(answer => answer !== undefined)
  }

  #add(untilMs: number | undefined): Taken {
    const guard = this.#guard
    if (guard === undefined) return { outcome: 'failed', why: 'the guard process does not run yet' }
    const { kernelMs } = this.#options
    const deadlineMs = untilMs === undefined ? Number.POSITIVE_INFINITY : this.#kernelTime(untilMs)
    this.#tickedAtMs = kernelMs()
    // The lease ended while we asked.
    if (this.#tickedAtMs >= deadlineMs) return { outcome: 'cancelled' }
    const places = this.#places()
    if (places.length < this.addresses.length) return { outcome: 'failed', why: this.fault ?? 'no interface' }
    this.#untilMs = deadlineMs
    this.#isHeld = true
    this.#clearing.cancel()
    // The guard knows before the kernel does: a kill in between leaves nothing behind.
    guard.hold(this.#leftMs())
    for (const { link, vip } of places) this.#netlink?.add(link, vip, this.#validSeconds)
    this.#assertedAtMs = kernelMs()
    this.#announcer.start()
    return { outcome: 'held' }
  }

  #lose(why: string): void {
    this.#remove(why)
    this.#events?.onDropped(why)
  }

  #remove(why: string): void {
    this.#announcer.stop()
    this.#isHeld = false
    this.#untilMs = Number.NEGATIVE_INFINITY
    this.#clearing.begin(why)
  }

  #schedule(): void {
    const delayMs = Math.min(TICK_MS_MAX, this.#options.stallMs / 4)
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      if (this.#isClosed) return
      if (this.check()) {
        this.#pet()
        this.#assertPresent()
      } else this.#clearing.again()
      this.#schedule()
    })
  }

  #pet(): void {
    this.#guard?.pet(this.#leftMs())
  }

  #leftMs(): number {
    return Math.min(this.#untilMs - this.#options.kernelMs(), this.#options.stallMs)
  }

  /** Puts back what somebody took away, and gives all a new lifetime. */
  #assertPresent(): void {
    const { kernelMs, log } = this.#options
    const netlink = this.#netlink
    if (netlink === undefined || kernelMs() - this.#assertedAtMs < ASSERT_EVERY_MS) return
    this.#assertedAtMs = kernelMs()
    try {
      const present = netlink.addresses()
      for (const { link, vip } of this.#places()) {
        const isMissing = presentOf(vip, link.index, present).length === 0
        netlink.add(link, vip, this.#validSeconds)
        if (!isMissing) continue
        const says = `${vip.address} was gone from ${link.name} and is there again`
        log.warning(says, { event: 'vip-put-back' })
        this.#announcer.start()
      }
    } catch (error) {
      this.#lose(`they cannot be kept: ${messageOf(error)}`)
    }
  }

  #isGuardSilent(): boolean {
    const guard = this.#guard
    if (guard === undefined) return true
    const { clock, stallMs } = this.#options
    const isSilent = clock.monotonicMs() - guard.answeredAtMs > stallMs * GUARD_SILENT_STALLS
    if (isSilent) {
      guard.kill()
      this.#guard = undefined
      this.#startGuardIn(GUARD_AGAIN_MS)
    }
    return isSilent
  }

  #kernelTime(monotonicMs: number): number {
    return this.#options.kernelMs() + monotonicMs - this.#options.clock.monotonicMs()
  }

  /** The interfaces of the addresses. One whose state cannot be read now is left out: that is no reason to give up. */
  #links(): readonly { readonly name: string; readonly link: Link | undefined }[] {
    const names = [...new Set(this.addresses.map(({ interfaceName }) => interfaceName))]
    return names.flatMap(name => {
      try {
        return [{ name, link: this.#netlink?.link(name) }]
      } catch {
        return []
      }
    })
  }

  #places(): readonly { readonly link: Link; readonly vip: VipAddress }[] {
    return this.addresses.flatMap(vip => {
      const link = this.#netlink?.link(vip.interfaceName)
      return link === undefined ? [] : [{ link, vip }]
    })
  }
}
