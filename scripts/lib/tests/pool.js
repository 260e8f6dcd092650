// Runs jobs a few at a time.

/**
 * Runs `work` on every item, at most `atOnce` at a time, in order of the list; results keep that order.
 * @template T, R
 * @param {readonly T[]} items
 * @param {number} atOnce
 * @param {(item: T) => Promise<R>} work
 * @returns {Promise<R[]>}
 */
export async function runPool(items, atOnce, work) {
  /** @type {R[]} */
  const results = new Array(items.length)
  const queue = items.entries()
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  return results
}
