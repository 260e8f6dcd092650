// Addresses that have to leave this host, until they have: what could not be removed at once is tried again.

import type { Logger } from '../platform/log.ts'
import type { Removal } from './removal.ts'

export interface ClearingOptions {
  readonly log: Logger
  readonly remove: () => Removal
  /** The last of them is gone: at the first try, or at a later one. */
  readonly onClean: () => void
  /** Something is left, after each try: whoever else can remove it should. */
  readonly onLeft: () => void
}

export class Clearing {
  readonly #options: ClearingOptions
  #isOver = true
  #why = ''
  /** What was told of the failures: the same is not told again with every try. */
  #told = ''

  constructor(options: ClearingOptions) {
    this.#options = options
  }

  /** False while something is left. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Removes what is there. */
  begin(why: string): void {
    this.#why = why
    this.#told = ''
    this.#try()
  }

  /** Once more, when something was left. */
  again(): void {
    if (!this.#isOver) this.#try()
  }

  /** They may be here again. */
  cancel(): void {
    this.#isOver = true
  }

  #try(): void {
    const { log, remove, onClean, onLeft } = this.#options
    const { removed, failed } = remove()
    for (const line of removed) log.info(`${line}: ${this.#why}`, { event: 'vip-removed' })
    const told = failed.join('; ')
    if (told !== '' && told !== this.#told) log.warning(`${told}; it is tried again`, { event: 'vip-stays' })
    this.#told = told
    this.#isOver = failed.length === 0
    if (this.#isOver) onClean()
    else onLeft()
  }
}
