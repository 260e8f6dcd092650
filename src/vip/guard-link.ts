// The parent's end of the guard process (guard.ts): starts it, pets it, hears from it.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '../platform/clock.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import type { GuardOrders } from './guard.ts'

/** A host that is starting everything at once is slow. */
const READY_MS = 60_000
const BYE_MS = 3_000

export interface GuardLinkOptions {
  readonly clock: Clock
  /** Words that start the guard: the program itself, `vip guard`. */
  readonly words: readonly string[]
  readonly orders: GuardOrders
  readonly kernelMs: () => number
}

/** What the guard tells. */
export interface GuardEvents {
  /** It took the addresses away: the deadline passed by so many milliseconds. */
  onDropped(lateMs: number): void
  /** It ended although we did not ask for that. */
  onGone(why: string): void
}

/** What a keeper without a guard lacks, with the last failure to start one. */
export function noGuard(failure: string | undefined): string {
  const says = 'the guard process does not run yet'
  return failure === undefined ? says : `${says}: ${failure}`
}

export class GuardLink {
  readonly #options: GuardLinkOptions
  readonly #events: GuardEvents
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #ready = Promise.withResolvers<void>()
  readonly #gone = Promise.withResolvers<void>()
  #isClosing = false
  #isReady = false
  /** When it answered last, by the monotonic clock. */
  answeredAtMs: number

  private constructor(options: GuardLinkOptions, events: GuardEvents) {
    this.#options = options
    this.#events = events
    this.answeredAtMs = options.clock.monotonicMs()
    const [program = '', ...args] = options.words
    // A session of its own: a Ctrl-C in the terminal is for the parent, which then says what to do.
    const child = spawn(program, args, { detached: true, stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' })
    this.#child = child
    child.on('error', error => this.#onExit(messageOf(error)))
    child.on('exit', (code, signal) => this.#onExit(signal ?? `exit code ${code}`))
    // Without descriptors there are no pipes, whatever the type says; the error comes in the next turn of the loop.
    if ((child.stdin as Writable | undefined) === undefined) return
    child.stdin.on('error', () => {})
    createInterface({ input: child.stdout }).on('line', line => this.#onLine(line))
    this.#say(`hello ${JSON.stringify(options.orders)}`)
  }

  /**
   * Starts a guard and waits until it is ready. Throws HaError when another process of this host keeps one of the addresses,
   * and when the guard cannot be started.
   */
  static async start(options: GuardLinkOptions, events: GuardEvents): Promise<GuardLink> {
    const link = new GuardLink(options, events)
    const timer = options.clock.setTimer(READY_MS, () =>
      link.#ready.reject(new HaError('E_VIP_GUARD', 'the guard process does not answer')),
    )
    try {
      await link.#ready.promise
      return link
    } catch (error) {
      link.kill()
      throw error
    } finally {
      timer.cancel()
    }
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** From now on it removes the addresses when we end, and at the latest `leftMs` from now. */
  hold(leftMs: number): void {
    this.answeredAtMs = this.#options.clock.monotonicMs()
    this.#say(`hold ${this.#options.kernelMs() + leftMs}`)
  }

  pet(leftMs: number): void {
    this.#say(`pet ${this.#options.kernelMs() + leftMs}`)
  }

  /** The lease that it gives back when we die as owner. */
  lease(id: string): void {
    this.#say(`lease ${id}`)
  }

  free(): void {
    this.#say('free')
  }

  /** Ends it in order; when it does not go, by force. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#child.stdin.end()
    const timer = this.#options.clock.setTimer(BYE_MS, () => this.kill())
    await this.#gone.promise
    timer.cancel()
  }

  kill(): void {
    this.#isClosing = true
    this.#child.kill('SIGKILL')
  }

  #say(line: string): void {
    if (this.#child.stdin.writable) this.#child.stdin.write(`${line}\n`)
  }

  #onLine(line: string): void {
    this.answeredAtMs = this.#options.clock.monotonicMs()
    const [word, value] = line.split(' ')
    if (word === 'ready') {
      this.#isReady = true
      this.#ready.resolve()
    } else if (word === 'busy') {
      const names = this.#options.orders.locks.join(', ')
      this.#ready.reject(
        new HaError(
          'E_VIP_GUARD',
          `${names}: another pgherd process of this host keeps it; it is tried again`,
        ),
      )
    } else if (word === 'dropped') this.#events.onDropped(Number(value))
  }

  #onExit(why: string): void {
    this.#gone.resolve()
    this.#ready.reject(new HaError('E_VIP_GUARD', `the guard process cannot run: ${why}`))
    if (this.#isReady && !this.#isClosing) this.#events.onGone(why)
    this.#isReady = false
  }
}
