// What all threads know of cuts under way. A reset wakes a server process to its end, and hundreds of those take the
// processors: so no thread resets before the clients of every thread have been told.

const WORDS_EACH = 2

export class CutBoard {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array

  constructor(threads: number | SharedArrayBuffer) {
    this.memory = typeof threads === 'number' ? new SharedArrayBuffer(4 * WORDS_EACH * threads) : threads
    this.#words = new Int32Array(this.memory)
  }

  /** The control thread: one more session of this thread (from 1) is to be cut. */
  order(thread: number): void {
    Atomics.add(this.#words, (thread - 1) * WORDS_EACH, 1)
  }

  /** The thread: it has done so for `count` of them. */
  told(thread: number, count: number): void {
    Atomics.add(this.#words, (thread - 1) * WORDS_EACH + 1, count)
  }

  /** The control thread: this thread begins anew, after another with its number died. */
  clear(thread: number): void {
    for (const word of [0, 1]) Atomics.store(this.#words, (thread - 1) * WORDS_EACH + word, 0)
  }

  /** Has this thread not done so for one of them yet? */
  isPendingIn(thread: number): boolean {
    const at = (thread - 1) * WORDS_EACH
    return Atomics.load(this.#words, at) !== Atomics.load(this.#words, at + 1)
  }

  /** Is there a session in any thread whose client has not been told? */
  isPending(): boolean {
    for (let thread = 1; thread * WORDS_EACH <= this.#words.length; thread += 1)
      if (this.isPendingIn(thread)) return true
    return false
  }
}
