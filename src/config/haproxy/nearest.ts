// The known name that somebody probably meant. Pure.

const DISTANCE_MAX = 3

/** The nearest of `names`, if any is near enough to be meant. */
export function nearestName(word: string, names: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.min(DISTANCE_MAX, Math.floor(word.length / 2)) + 1
  for (const name of names) {
    const distance = distanceOf(word, name)
    if (distance < least) {
      least = distance
      best = name
    }
  }
  return best
}

/** How many single changes (swap of neighbours included) lead from one word to the other. */
export function distanceOf(a: string, b: string): number {
  let twoBack: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1]
      let cost = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + (isSame ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (twoBack[j - 2] ?? 0) + 1)
      }
      row.push(cost)
    }
    twoBack = last
    last = row
  }
  return last[b.length] ?? 0
}
