// The process that outlives its parent: takes virtual addresses off this host when the parent is killed, or frozen for longer
// than it may. It reads lines from a pipe; the pipe's end is the parent's death.
//
//   parent                          guard
//   hello {addresses, ...}    ->    locks the addresses on this host      -> ready | busy
//   hold <until>              ->    from now on they are ours to remove
//   pet <until>               ->    moves the deadline                    -> ok
//   free                      ->    the parent removed them itself
//   (end of the pipe)         ->    removes, tells the store, ends
//                                   (deadline passed: removes)            -> dropped <late>
//                                   (and not heard of since: tells the store)
//
// Deadlines are milliseconds of the kernel's monotonic clock, which both processes share, so that a line that lay in the pipe
// gives nobody more time.

import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { runChild } from '../platform/child.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { VipAddress } from './addresses.ts'
import { type HostLock, lockAddresses } from './host-lock.ts'
import { removeAddresses } from './removal.ts'

const LOCK_MS = 5_000
const TICK_MS = 25
/** A parent that was only late says `free` sooner than this after the removal, and then sees to its lease itself. */
const PATIENCE_MS = 200
const COMMAND_MS = 10_000

/** What the parent says first. */
export interface GuardOrders {
  /** Addresses that no other process of this host may keep meanwhile (`lockNames`). */
  readonly locks: readonly string[]
  /** What to take off the interfaces. */
  readonly addresses: readonly VipAddress[]
  /** What to run instead, for addresses that no interface holds. */
  readonly command: readonly string[] | undefined
  readonly environment: Readonly<Record<string, string>>
  /** What `release` needs; opaque here. */
  readonly store: unknown
}

export interface GuardParts {
  readonly clock: Clock
  readonly input: Readable
  readonly output: Writable
  /** Milliseconds of the kernel's monotonic clock. */
  readonly kernelMs: () => number
  /** Lets others take the addresses after the parent died, or froze, as their owner; `leaseId` is the last that it named. */
  readonly release: (orders: GuardOrders, leaseId: string | undefined) => Promise<void>
  readonly log: (line: string) => void
}

/** Runs until the pipe ends. Rejects when the orders cannot be read. */
export async function runGuard(parts: GuardParts): Promise<void> {
  const guard = new Guard(parts)
  const lines = createInterface({ input: parts.input, crlfDelay: Number.POSITIVE_INFINITY })
  try {
    for await (const line of lines) await guard.onLine(line)
  } finally {
    await guard.onEnd()
  }
}

class Guard {
  readonly #parts: GuardParts
  #orders: GuardOrders | undefined
  #lock: HostLock | undefined
  /** `free`: nothing of ours is on the host. `late`: the deadline passed; nothing may be there until the next `hold`. */
  #state: 'free' | 'holding' | 'late' = 'free'
  #untilMs = 0
  #removedAtMs = 0
  #leaseId: string | undefined
  #timer: NodeJS.Timeout | undefined
  /** What could not be removed, as it was told. */
  #told = ''
  /** The removal by command of this hold. */
  #command: Promise<void> | undefined
  /** That others may take what this hold was. */
  #release: Promise<void> | undefined

  constructor(parts: GuardParts) {
    this.#parts = parts
  }

  async onLine(line: string): Promise<void> {
    const [word = '', value = ''] = line.split(/ (.*)/s)
    if (word === 'hello') await this.#hello(JSON.parse(value) as GuardOrders)
    else if (word === 'hold') this.#hold(Number(value))
    else if (word === 'pet') this.#pet(Number(value))
    else if (word === 'lease') this.#leaseId = value
    else if (word === 'free') this.#free()
  }

  /** The parent is gone. What it held goes first, then others may know. */
  async onEnd(): Promise<void> {
    clearInterval(this.#timer)
    const orders = this.#orders
    if (orders !== undefined && this.#state !== 'free') {
      this.#remove()
      await this.#letOthers(orders)
    }
    this.#lock?.release()
  }

  async #hello(orders: GuardOrders): Promise<void> {
    const { clock } = this.#parts
    this.#lock = await lockAddresses(clock, orders.locks, Deadline.in(clock, LOCK_MS))
    if (this.#lock !== undefined) this.#orders = orders
    this.#say(this.#lock === undefined ? 'busy' : 'ready')
  }

  #hold(untilMs: number): void {
    this.#state = 'holding'
    this.#command = undefined
    this.#release = undefined
    this.#untilMs = untilMs
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS)
    this.#tick()
  }

  #pet(untilMs: number): void {
    if (this.#state !== 'holding') return
    this.#untilMs = untilMs
    this.#tick()
    this.#say('ok')
  }

  #free(): void {
    this.#state = 'free'
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tick(): void {
    if (this.#state === 'free') return
    const nowMs = this.#parts.kernelMs()
    if (nowMs < this.#untilMs) return
    // Until the parent says that it knows: one that was frozen between its look at the clock and its act adds them again.
    this.#remove()
    if (this.#state === 'holding') {
      this.#state = 'late'
      this.#removedAtMs = nowMs
      this.#say(`dropped ${Math.round(nowMs - this.#untilMs)}`)
    }
    // Counted from our own act, not from the deadline: it may be we who stood still, with the parent's word in the pipe.
    const isSilent = nowMs - this.#removedAtMs >= PATIENCE_MS
    if (isSilent && this.#orders !== undefined) void this.#letOthers(this.#orders)
  }

  #remove(): void {
    const orders = this.#orders
    if (orders === undefined) return
    const { removed, failed } = removeAddresses(orders.addresses)
    const told = failed.join('; ')
    // With every tick the same is tried, and would be told.
    for (const line of told === this.#told ? removed : [...removed, ...failed]) this.#parts.log(line)
    this.#told = told
    this.#command ??= runCommand(this.#parts, orders)
  }

  /** Once for each hold; never rejects. */
  async #letOthers(orders: GuardOrders): Promise<void> {
    const { release, log } = this.#parts
    const leaseId = this.#leaseId
    this.#release ??= (this.#command ?? Promise.resolve())
      .then(() => release(orders, leaseId))
      .catch((error: unknown) => log(`the lease ends by itself: ${messageOf(error)}`))
    await this.#release
  }

  #say(line: string): void {
    this.#parts.output.write(`${line}\n`)
  }
}

async function runCommand({ clock, log }: GuardParts, { command, environment }: GuardOrders): Promise<void> {
  const [program, ...args] = command ?? []
  if (program === undefined) return
  try {
    const env = { ...process.env, ...environment }
    const { code } = await runChild(program, args, { by: Deadline.in(clock, COMMAND_MS), env })
    log(`ran ${program}: exit code ${code ?? 'unknown'}`)
  } catch (error) {
    log(`cannot run ${program}: ${messageOf(error)}`)
  }
}
