// `synchronous_standby_names` as text and as what it guarantees. Names compare without case, as PostgreSQL compares them.

/** Stands for nobody: with this name alone in the parameter commits wait, for no member may be called so. */
export const NOBODY = '__patroni_strict_sync_replica_placeholder__'

/** The parameter, read. `first`: the first `count` of the connected ones; `any`: any `count` of them. */
export interface StandbyNames {
  readonly method: 'first' | 'any'
  readonly count: number
  readonly names: readonly string[]
}

const NONE: StandbyNames = { method: 'first', count: 0, names: [] }
const COUNTED = /^\s*(?:(first|any)\s+)?(\d+)\s*\((.*)\)\s*$/is
const ITEM = /\s*(?:"((?:[^"]|"")*)"|([^\s,"()]+))\s*(,|$)/y
const PLAIN = /^[a-z_][a-z0-9_$]*$/i
const RESERVED = new Set(['first', 'any'])

/** Reads the parameter; undefined when it is no list (PostgreSQL refuses such text, so it is never in effect). */
export function parseStandbyNames(text: string): StandbyNames | undefined {
  if (text.trim() === '') return NONE
  const counted = COUNTED.exec(text)
  const names = parseList(counted === null ? text : (counted[3] ?? ''))
  if (names === undefined) return undefined
  if (counted === null) return { method: 'first', count: 1, names }
  return {
    method: counted[1]?.toLowerCase() === 'any' ? 'any' : 'first',
    count: Number(counted[2]),
    names,
  }
}

function parseList(text: string): readonly string[] | undefined {
  const names: string[] = []
  ITEM.lastIndex = 0
  while (ITEM.lastIndex < text.length) {
    const match = ITEM.exec(text)
    if (match === null) return undefined
    names.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
  }
  return names.length === 0 ? undefined : names
}

/** All of `names` must confirm: one name alone, several as `2 (a,b)`, nobody as the empty text. */
export function printEach(names: readonly string[]): string {
  const quoted = [...names].sort().map(quote)
  return quoted.length <= 1 ? (quoted[0] ?? '') : `${quoted.length} (${quoted.join(',')})`
}

/** Any `count` of `names` must confirm; 0 is nobody. */
export function printAny(count: number, names: readonly string[]): string {
  if (count <= 0 || names.length === 0) return ''
  return `ANY ${count} (${[...names].sort().map(quote).join(',')})`
}

function quote(name: string): string {
  const isPlain = PLAIN.test(name) && !RESERVED.has(name.toLowerCase())
  return isPlain ? name : `"${name.replaceAll('"', '""')}"`
}

/** The same member? */
export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

export function includesName(names: Iterable<string>, name: string): boolean {
  for (const other of names) if (sameName(other, name)) return true
  return false
}

/** Those of `names` that are in `others` too. */
export function intersect(names: readonly string[], others: readonly string[]): readonly string[] {
  return names.filter(name => includesName(others, name))
}

/** `names`, then those of `others` that are not among them. */
export function union(names: readonly string[], others: readonly string[]): readonly string[] {
  return [...names, ...others.filter(name => !includesName(names, name))]
}

export function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && intersect(a, b).length === a.length
}

/** Does every commit wait for somebody who cannot come? */
export function isClosed({ count, names }: StandbyNames): boolean {
  return count > 0 && names.every(name => name === NOBODY)
}

/** Who has every commit that is acknowledged under this parameter: all of its names, or (fewer are enough) nobody for sure. */
export function guaranteed({ count, names }: StandbyNames): readonly string[] {
  return count >= names.length && !names.includes('*') ? names.filter(name => name !== NOBODY) : []
}
