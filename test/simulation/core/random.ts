// Numbers that look random and follow from a seed alone. Each part of a world draws from a stream of its own, so that
// one more draw in one part does not change what happens in all others.

const UINT = 4_294_967_296

export class Random {
  #state: number

  constructor(seed: number | string) {
    this.#state = hashOf(String(seed))
  }

  /** A stream that depends on this one's seed and on `label`, and on nothing drawn so far by others. */
  fork(label: string): Random {
    return new Random(`${this.#state}/${label}`)
  }

  /** A whole number below 2^32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  /** From `low` up to, without, `high`. */
  between(low: number, high: number): number {
    return low + (this.next() / UINT) * (high - low)
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + (this.next() % (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability * UINT
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.next() % items.length]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  /** The items in another order. */
  shuffled<T>(items: readonly T[]): readonly T[] {
    const left = [...items]
    const taken: T[] = []
    while (left.length > 0) taken.push(...left.splice(this.next() % left.length, 1))
    return taken
  }
}

/** FNV-1a with a final mix. */
function hashOf(text: string): number {
  let hash = 2_166_136_261
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 16_777_619)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
