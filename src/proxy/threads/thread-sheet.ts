// A few words of memory that the control thread shares with one worker, for what must not wait for a message.

const PASSING = 0
const MET = 1
const MISSED = 2
const WORDS = 3
/** However busy the machine is, the control thread waits no longer for a worker that it has just overtaken. */
const SETTLE_MS_MAX = 2

export class ThreadSheet {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array

  constructor(memory = new SharedArrayBuffer(4 * WORDS)) {
    this.memory = memory
    this.#words = new Int32Array(memory)
  }

  /**
   * The worker: a piece of data is about to be looked at, and written if its gate is open. The mark comes before the look;
   * whoever closes the gate looks at the mark afterwards. So one of the two always sees the other.
   */
  beginPassing(): void {
    Atomics.store(this.#words, PASSING, 1)
  }

  endPassing(): void {
    Atomics.store(this.#words, PASSING, 0)
  }

  /**
   * The control thread, after it closed a gate: waits until the worker has finished the piece that it may have in hand, some
   * microseconds. A worker that the kernel has stopped in the middle of it is not waited for longer than 2 ms; false then.
   */
  settle(nowMs: () => number): boolean {
    if (Atomics.load(this.#words, PASSING) === 0) return true
    const untilMs = nowMs() + SETTLE_MS_MAX
    while (Atomics.load(this.#words, PASSING) !== 0) if (nowMs() >= untilMs) return false
    return true
  }

  /** The control thread: it has dealt with one more of the clients that the worker told. */
  meet(): void {
    Atomics.add(this.#words, MET, 1)
  }

  /** The worker: a client was closed because too many have not been dealt with. */
  miss(): void {
    Atomics.add(this.#words, MISSED, 1)
  }

  /** How many clients were closed so. */
  get missed(): number {
    return Atomics.load(this.#words, MISSED)
  }

  /** The worker: how many of the `told` clients have not been dealt with. Counts that pass 2^31 go on below zero. */
  unmet(told: number): number {
    return (told - Atomics.load(this.#words, MET)) | 0
  }
}
