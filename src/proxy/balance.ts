// Who is next in a pool. Pure: what a balance remembers between two choices is a value that goes in and comes out.

/** One server that could take the session. */
export interface Candidate {
  readonly name: string
  /** 0: takes no new sessions. */
  readonly weight: number
  readonly sessions: number
  readonly connectionsMax: number | undefined
}

export type BalanceKind = 'roundrobin' | 'leastconn' | 'source' | 'first' | 'random'

/** How far each server is behind its share; for round robin. */
export type Turns = ReadonlyMap<string, number>

export interface Chosen {
  readonly name: string | undefined
  readonly turns: Turns
}

export interface Draw {
  readonly kind: BalanceKind
  /** The client's address, for `source`. */
  readonly source: string | undefined
  /** Numbers from 0 to 1, for `random`: as many as should be drawn. */
  readonly randoms: readonly number[]
}

/** Chooses among servers in the order of the file. Servers without weight or without a free place are left out. */
export function chooseNext(candidates: readonly Candidate[], draw: Draw, turns: Turns): Chosen {
  const usable = candidates.filter(isFree)
  if (usable.length === 0) return { name: undefined, turns }
  if (draw.kind === 'roundrobin') return inTurn(usable, turns)
  if (draw.kind === 'leastconn') return leastInTurn(usable, turns)
  return { name: pick(usable, draw)?.name, turns }
}

/** Has it weight and a place? */
export function isFree({ weight, sessions, connectionsMax }: Candidate): boolean {
  return weight > 0 && (connectionsMax === undefined || sessions < connectionsMax)
}

function pick(usable: readonly Candidate[], { kind, source, randoms }: Draw): Candidate | undefined {
  switch (kind) {
    case 'first':
      return usable[0]
    case 'source':
      return atShare(usable, hash(source ?? '') / 2 ** 32)
    case 'random':
      return leastLoaded(randoms.map(random => atShare(usable, random)).filter(one => one !== undefined))
    default:
      return leastLoaded(usable)
  }
}

/**
 * Smooth weighted round robin: each server gains its weight, the one that is furthest behind goes next and pays the
 * sum. Servers that come and go keep the order of the others.
 */
function inTurn(usable: readonly Candidate[], turns: Turns): Chosen {
  const next = new Map<string, number>()
  let sum = 0
  let best: Candidate | undefined
  for (const one of usable) {
    sum += one.weight
    const credit = (turns.get(one.name) ?? 0) + one.weight
    next.set(one.name, credit)
    if (best === undefined || credit > (next.get(best.name) ?? 0)) best = one
  }
  if (best !== undefined) next.set(best.name, (next.get(best.name) ?? 0) - sum)
  return { name: best?.name, turns: next }
}

/** The fewest sessions for its weight; equals have their turns, and the turns of the others are kept. */
function leastInTurn(usable: readonly Candidate[], turns: Turns): Chosen {
  const least = leastLoaded(usable)
  if (least === undefined) return { name: undefined, turns }
  const equals = usable.filter(one => one.sessions * least.weight === least.sessions * one.weight)
  const chosen = inTurn(equals, turns)
  const kept = usable.map(({ name }) => [name, turns.get(name) ?? 0] as const)
  return { name: chosen.name, turns: new Map([...kept, ...chosen.turns]) }
}

/** The fewest sessions for its weight; of equals the first. */
function leastLoaded(usable: readonly Candidate[]): Candidate | undefined {
  let best: Candidate | undefined
  for (const one of usable) {
    if (best === undefined || one.sessions * best.weight < best.sessions * one.weight) best = one
  }
  return best
}

/** The server at this share of all weights laid side by side. */
function atShare(usable: readonly Candidate[], share: number): Candidate | undefined {
  const sum = usable.reduce((total, { weight }) => total + weight, 0)
  let left = share * sum
  for (const one of usable) {
    left -= one.weight
    if (left < 0) return one
  }
  return usable.at(-1)
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0
  }
  // The last bits of similar texts differ most, and the share is read from the first.
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b) >>> 0
  return (value ^ (value >>> 13)) >>> 0
}

/** The weight of a server that came up `sinceMs` ago: it grows from a tenth to the whole, never to nothing. */
export function rampedWeight(weight: number, slowStartMs: number, sinceMs: number): number {
  if (weight === 0 || slowStartMs <= 0 || sinceMs >= slowStartMs) return weight
  return weight * Math.max(0.1, sinceMs / slowStartMs)
}
