// Runs jobs a few at a time.

/**
 * Runs `work` on every item, at most `atOnce` at a time, in order of the list; results keep that order. The first item
 * starts at once; one that would run beside others starts when `room` resolves, one after the other.
 * @template T, R
 * @param {readonly T[]} items
 * @param {number} atOnce
 * @param {(item: T) => Promise<R>} work
 * @param {() => Promise<void>} [room]
 * @returns {Promise<R[]>}
 */
export async function runPool(items, atOnce, work, room = async () => {}) {
  /** @type {R[]} */
  const results = new Array(items.length)
  const queue = items.entries()
  let running = 0
  let turn = Promise.resolve()
  /** Waits for its turn, then for room unless nothing runs. */
  const enter = () => {
    turn = turn
      .then(() => (running === 0 ? undefined : room()))
      .then(() => {
        running += 1
      })
    return turn
  }
  const worker = async () => {
    for (const [index, item] of queue) {
      await enter()
      results[index] = await work(item).finally(() => {
        running -= 1
      })
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  return results
}
