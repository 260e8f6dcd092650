// File calls on storage that may hang. Node hands them to four threads; a call that hangs keeps its thread, and with four of
// them no file can be read and no name be looked up any more. So whoever may meet such storage goes in single file.

import { type Deadline, DeadlineError } from './deadline.ts'

const WAITING_MAX = 1_000

/** One call at a time; those behind one that hangs end at their deadlines without having begun. */
export class OneByOne {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** Rejects with DeadlineError naming `what`, or as `work` does. A work that hangs is abandoned and still counts as running. */
  async run<T>(what: string, by: Deadline, work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) throw new DeadlineError(what)
    this.#waiting += 1
    const turn = this.#last.then(() => {
      this.#waiting -= 1
      if (by.isOver()) throw new DeadlineError(what)
      return work()
    })
    this.#last = turn.catch(() => {})
    return await by.run(what, () => turn)
  }
}
