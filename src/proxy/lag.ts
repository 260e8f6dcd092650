// How far a replica's readers are behind the leader, in bytes and in time. Pure. Time is measured on the proxy's own
// monotonic clock, from the instant at which the leader's position was heard: no other host's clock is believed.

import type { Lsn } from '../cluster/lsn.ts'

/** A position of the leader and when it was heard of. */
export interface LeaderPosition {
  readonly location: Lsn
  readonly atMs: number
}

export interface Lag {
  readonly bytes: bigint
  readonly ms: number
}

const POSITIONS_MAX = 600

/** Remembers a position. A smaller one (another leader, a restored server) starts the memory anew. */
export function notePosition(
  positions: readonly LeaderPosition[],
  location: Lsn,
  atMs: number,
): readonly LeaderPosition[] {
  const last = positions.at(-1)
  if (last !== undefined && location < last.location) return [{ location, atMs }]
  if (last?.location === location) return positions
  return [...positions.slice(1 - POSITIONS_MAX), { location, atMs }]
}

/**
 * The lag of a server that has replayed up to `replayed`: the bytes to the leader's last known position, and the time
 * since the leader was first known to be further. Undefined when the leader's position is not known.
 */
export function lagOf(positions: readonly LeaderPosition[], replayed: Lsn, nowMs: number): Lag | undefined {
  const last = positions.at(-1)
  if (last === undefined) return undefined
  if (replayed >= last.location) return { bytes: 0n, ms: 0 }
  const missed = positions.find(({ location }) => location > replayed)
  return { bytes: last.location - replayed, ms: Math.max(0, nowMs - (missed ?? last).atMs) }
}

export interface LagLimits {
  readonly lagBytesMax: number | undefined
  readonly lagMsMax: number | undefined
}

/** One that was put out comes back below this part of the limit, so that it does not flap. */
const COMES_BACK_BELOW = 0.5

/** Is it near enough? `wasIn`: it is in the pool now. What is not known is too far, where there is a limit. */
export function isNearEnough(lag: Lag | undefined, limits: LagLimits, wasIn: boolean): boolean {
  const { lagBytesMax, lagMsMax } = limits
  if (lagBytesMax === undefined && lagMsMax === undefined) return true
  if (lag === undefined) return false
  const part = wasIn ? 1 : COMES_BACK_BELOW
  if (lagBytesMax !== undefined && lag.bytes > BigInt(Math.floor(lagBytesMax * part))) return false
  return lagMsMax === undefined || lag.ms <= lagMsMax * part
}
