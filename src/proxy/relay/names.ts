// Names of servers to addresses, for those who dial. One look-up at a time for each name, however many sessions come: each holds
// one of the four threads of Node's pool, which files need, too. An answer counts for a second, so that a server that moves by
// DNS is followed; a name that is not found, or not any more, is asked for again each time.

import { ADDRCONFIG } from 'node:dns'
import { lookup } from 'node:dns/promises'
import type { Clock, Timer } from '../../platform/clock.ts'

/** Addresses of a name, best first. */
export type LookUp = (name: string) => Promise<readonly string[]>

/** As the system has them: /etc/hosts and nsswitch.conf count, and the order is the one of getaddrinfo. */
export const bySystem: LookUp = async name => {
  const found = await lookup(name, { all: true, order: 'verbatim', hints: ADDRCONFIG })
  return found.map(({ address }) => address)
}

/** Sessions that come together are spared a look-up each, and nobody goes longer than this to where a server no longer is. */
export const KEPT_MS = 1000
/** A resolver that waits for name servers that are gone takes longer; who dials has given up by then. */
export const LOOK_UP_MAX_MS = 10_000
/** Names whose answers are kept, and names that are being looked up. */
export const NAMES_MAX = 256
/** Of one name. */
export const ADDRESSES_MAX = 16

/** Exactly one of the two is called, once, unless the search is aborted; `onFound` perhaps before `find` returns. */
export interface Seeker {
  /** There is at least one address. */
  onFound(addresses: readonly string[]): void
  /** `error` has the resolver's code. */
  onNotFound(error: NodeJS.ErrnoException): void
}

/** A search under way. `abort` after the end does nothing. */
export interface Search {
  abort(): void
}

interface Answer {
  readonly addresses: readonly string[]
  readonly untilMs: number
}

/** One look-up, which the system cannot be told to leave. */
interface LookingUp {
  readonly seekers: Set<Seeker>
  readonly timer: Timer
  isLate: boolean
}

const noSearch: Search = { abort: () => {} }

export class Names {
  readonly #clock: Clock
  readonly #lookUp: LookUp
  /** The oldest first. */
  readonly #answers = new Map<string, Answer>()
  readonly #underWay = new Map<string, LookingUp>()

  constructor(clock: Clock, lookUp: LookUp = bySystem) {
    this.#clock = clock
    this.#lookUp = lookUp
  }

  /** The name's addresses, of a second ago at most; fails after LOOK_UP_MAX_MS. */
  find(name: string, seeker: Seeker): Search {
    const known = this.#answers.get(name)
    if (known !== undefined && this.#clock.monotonicMs() < known.untilMs) {
      seeker.onFound(known.addresses)
      return noSearch
    }
    const looking = this.#underWay.get(name) ?? this.#begin(name)
    looking.seekers.add(seeker)
    // One that took too long holds its thread still: another one would only hold a second.
    if (looking.isLate) process.nextTick(() => fail(looking, tooLate(name, `${LOOK_UP_MAX_MS / 1000} s`)))
    return { abort: () => void looking.seekers.delete(seeker) }
  }

  #begin(name: string): LookingUp {
    const seekers = new Set<Seeker>()
    if (this.#underWay.size >= NAMES_MAX) {
      const busy = { seekers, timer: { cancel: () => {} }, isLate: false }
      process.nextTick(() => fail(busy, tooMany(name)))
      return busy
    }
    const timer = this.#clock.setTimer(LOOK_UP_MAX_MS, () => {
      looking.isLate = true
      fail(looking, tooLate(name, `${LOOK_UP_MAX_MS / 1000} s`))
    })
    const looking: LookingUp = { seekers, timer, isLate: false }
    this.#underWay.set(name, looking)
    void this.#ask(name, looking)
    return looking
  }

  async #ask(name: string, looking: LookingUp): Promise<void> {
    let addresses: readonly string[] = []
    let problem: NodeJS.ErrnoException = problemOf(`${name} has no address`, 'ENOTFOUND')
    try {
      addresses = (await this.#lookUp(name)).slice(0, ADDRESSES_MAX)
    } catch (error) {
      problem = error instanceof Error ? error : problemOf(String(error), 'ENOTFOUND')
    }
    looking.timer.cancel()
    this.#underWay.delete(name)
    this.#answers.delete(name)
    if (addresses.length === 0) {
      fail(looking, problem)
      return
    }
    this.#keep(name, addresses)
    for (const seeker of take(looking)) seeker.onFound(addresses)
  }

  #keep(name: string, addresses: readonly string[]): void {
    this.#answers.set(name, { addresses, untilMs: this.#clock.monotonicMs() + KEPT_MS })
    const [oldest] = this.#answers.keys()
    if (this.#answers.size > NAMES_MAX && oldest !== undefined) this.#answers.delete(oldest)
  }
}

/** One after the other: what one of them does may abort the search of another. */
function* take({ seekers }: LookingUp): Iterable<Seeker> {
  for (const seeker of [...seekers]) if (seekers.delete(seeker)) yield seeker
}

function fail(looking: LookingUp, error: NodeJS.ErrnoException): void {
  for (const seeker of take(looking)) seeker.onNotFound(error)
}

function problemOf(message: string, code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code })
}

/** For those who wait no longer; `within`: how long they did, with its unit. */
export function tooLate(name: string, within: string): NodeJS.ErrnoException {
  const text = `the look-up of ${name} has not ended within ${within}: look at the name servers of this host`
  return problemOf(text, 'ETIMEOUT')
}

function tooMany(name: string): NodeJS.ErrnoException {
  return problemOf(`${name} was not looked up: ${NAMES_MAX} other names are being looked up`, 'EBUSY')
}
