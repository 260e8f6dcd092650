// A bounded memory of the latest things: the oldest is forgotten first.

/** Keeps the last `capacity` items in order of arrival. */
export class Recent<T> {
  readonly #capacity: number
  #items: T[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(item: T): void {
    this.#items.push(item)
    if (this.#items.length > this.#capacity * 2) this.#items = this.#items.slice(-this.#capacity)
  }

  /** The newest `count` items, oldest first. */
  last(count: number = this.#capacity): readonly T[] {
    return this.#items.slice(-Math.min(count, this.#capacity))
  }
}
