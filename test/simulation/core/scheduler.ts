// The one queue that everything in a world happens through. Time is virtual: it jumps to the next event. Between two
// events every continuation that became runnable runs to its end, so a run depends on the seed alone.

import type { Random } from './random.ts'

/** Something that will happen, unless it is cancelled before. */
export interface Handle {
  cancel(): void
}

interface Entry extends Handle {
  readonly atMs: number
  /** Among events of the same instant the seed chooses. */
  readonly order: number
  run: (() => void) | undefined
}

/** Events handed to Node's loop at a time: between two of them it drains promises without asking the kernel. */
const BATCH = 64
/** Times are multiples of 1/64 ms: sums and differences of them are exact. */
const STEPS_PER_MS = 64
/** So many events at one instant are an endless loop that never lets time pass. */
const EVENTS_AT_ONCE_MAX = 20_000

/** The next instant of the world's grid that is not before `ms`. */
export function onGrid(ms: number): number {
  return Math.ceil(ms * STEPS_PER_MS) / STEPS_PER_MS
}

export class Scheduler {
  #nowMs = 0
  #executed = 0
  #eventsAtOnce = 0
  #failure: unknown
  readonly #random: Random
  readonly #heap: Entry[] = []

  constructor(random: Random) {
    this.#random = random
  }

  get nowMs(): number {
    return this.#nowMs
  }

  /** Events executed so far. */
  get executed(): number {
    return this.#executed
  }

  at(atMs: number, run: () => void): Handle {
    const entry: Entry = {
      atMs: onGrid(Math.max(atMs, this.#nowMs)),
      order: this.#random.next(),
      run,
      cancel: () => {
        entry.run = undefined
      },
    }
    this.#push(entry)
    return entry
  }

  in(delayMs: number, run: () => void): Handle {
    return this.at(this.#nowMs + delayMs, run)
  }

  /**
   * Executes events until `untilMs` or until `isOver` says so after one of them. `after` runs after each event and all its
   * continuations; what it or an event throws ends the run.
   */
  run(untilMs: number, after: () => void, isOver: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      let pending = 0
      let isDone = false
      const step = () => {
        pending -= 1
        if (isDone) return
        if (this.#executed > 0) this.#check(after)
        if (this.#failure !== undefined || isOver() || !this.#one(untilMs)) {
          isDone = true
          if (this.#failure === undefined) resolve()
          else reject(this.#failure)
          return
        }
        if (pending === 0) fill()
      }
      const fill = () => {
        pending = BATCH
        for (let count = 0; count < BATCH; count += 1) setImmediate(step)
      }
      fill()
    })
  }

  #check(after: () => void): void {
    try {
      after()
    } catch (error) {
      this.#failure = error
    }
  }

  /** False when nothing is left before `untilMs`; time is then `untilMs`. */
  #one(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = untilMs
        return false
      }
      this.#pop()
      if (next.run === undefined) continue
      this.#eventsAtOnce = next.atMs > this.#nowMs ? 0 : this.#eventsAtOnce + 1
      if (this.#eventsAtOnce > EVENTS_AT_ONCE_MAX)
        this.#failure = new Error(`time stands still at ${this.#nowMs} ms`)
      this.#nowMs = next.atMs
      this.#executed += 1
      try {
        next.run()
      } catch (error) {
        this.#failure = error
      }
      return true
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(entry)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || !isBefore(entry, parent)) break
      heap[at] = parent
      at = above
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      const child = smallerChild(heap, at)
      const below = heap[child]
      if (below === undefined || !isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }
}

function smallerChild(heap: readonly Entry[], at: number): number {
  const left = 2 * at + 1
  const [one, other] = [heap[left], heap[left + 1]]
  return one !== undefined && other !== undefined && isBefore(other, one) ? left + 1 : left
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}
