// Whose turn it is. Pure.

/**
 * Round robin over names in sorted order: the first after `last`, else the first. The turn survives members that come
 * and go, because it is remembered by name.
 */
export function nextInTurn(names: readonly string[], last: string | undefined): string | undefined {
  const sorted = [...names].sort()
  if (last === undefined) return sorted[0]
  return sorted.find(name => name > last) ?? sorted[0]
}
