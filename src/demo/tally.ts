// What a writer saw: which rows were acknowledged and when, which errors came, how long nobody was served. Does no I/O.

/** SQLSTATE of a write that reached a server in recovery: the one error that a router must never cause. */
export const READ_ONLY = '25006'

/** The longest time without an acknowledgement. Times are monotonic milliseconds of this process. */
export interface Gap {
  readonly ms: number
  readonly fromMs: number
  readonly toMs: number
}

/** One failed attempt. `code` is the SQLSTATE, or the socket's error code, or `timeout`. */
export interface Failure {
  readonly atMs: number
  readonly code: string
  readonly phase: 'connect' | 'insert'
  readonly text: string
}

/** The counters in a form for people and for JSON. */
export interface TallySummary {
  readonly acknowledged: number
  readonly readOnlyErrors: number
  readonly refused: number
  readonly failed: number
  readonly longestGapMs: number
  readonly errors: Readonly<Record<string, number>>
}

const FAILURES_KEPT = 10_000

/** Grows by one entry for each acknowledged row; of the failures the first 10,000 are kept, all are counted. */
export class Tally {
  readonly #ids: number[] = []
  readonly #times: number[] = []
  readonly #failures: Failure[] = []
  readonly #errors = new Map<string, number>()
  readonly #startedMs: number
  #latestMs: number
  #failed = 0

  constructor(nowMs: number) {
    this.#startedMs = nowMs
    this.#latestMs = nowMs
  }

  /** A row's commit was acknowledged at `atMs`. Calls come in order of time. */
  acknowledge(id: number, atMs: number): void {
    this.#ids.push(id)
    this.#times.push(atMs)
    this.#latestMs = atMs
  }

  /** An attempt failed; whether its row is there is not known. */
  fail(failure: Failure): void {
    this.#failed += 1
    this.#errors.set(failure.code, (this.#errors.get(failure.code) ?? 0) + 1)
    if (this.#failures.length < FAILURES_KEPT) this.#failures.push(failure)
  }

  get acknowledgedIds(): readonly number[] {
    return this.#ids
  }

  get failures(): readonly Failure[] {
    return this.#failures
  }

  /** How many attempts failed with this code. */
  count(code: string): number {
    return this.#errors.get(code) ?? 0
  }

  get acknowledged(): number {
    return this.#ids.length
  }

  /** When the last acknowledgement came, or when counting began. */
  get latestMs(): number {
    return this.#latestMs
  }

  /** When the first acknowledgement at or after `sinceMs` came. */
  firstAfter(sinceMs: number): number | undefined {
    return this.#times[this.#indexAtOrAfter(sinceMs)]
  }

  /**
   * The longest time without an acknowledgement between `sinceMs` (default: the beginning) and `untilMs`. The gap that
   * `sinceMs` falls into counts from its own beginning; one that is still open at `untilMs` counts up to there.
   */
  longestGap(untilMs: number, sinceMs: number = this.#startedMs): Gap {
    let fromMs = this.#times[this.#indexAtOrAfter(sinceMs) - 1] ?? this.#startedMs
    let longest: Gap = { ms: 0, fromMs, toMs: fromMs }
    const measure = (toMs: number) => {
      if (toMs - fromMs > longest.ms) longest = { ms: toMs - fromMs, fromMs, toMs }
      fromMs = toMs
    }
    for (let index = this.#indexAtOrAfter(sinceMs); index < this.#times.length; index += 1) {
      const atMs = this.#times[index]
      if (atMs === undefined || atMs > untilMs) break
      measure(atMs)
    }
    measure(untilMs)
    return longest
  }

  summary(nowMs: number): TallySummary {
    return {
      acknowledged: this.acknowledged,
      readOnlyErrors: this.count(READ_ONLY),
      refused: this.count('ECONNREFUSED'),
      failed: this.#failed,
      longestGapMs: Math.round(this.longestGap(nowMs).ms),
      errors: Object.fromEntries([...this.#errors].sort()),
    }
  }

  #indexAtOrAfter(atMs: number): number {
    let low = 0
    let high = this.#times.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#times[middle] ?? 0) < atMs) low = middle + 1
      else high = middle
    }
    return low
  }
}
