// Keeps the sum of all sessions below the process's limit of open files, so that probes, etcd and the status port
// always find a descriptor. Pure.

import { CONNECTIONS_MAX } from './admin/server.ts'
import { CANCELS_MAX } from './cancel.ts'
import { DISMISSED_MAX } from './dismissal.ts'
import { REFUSALS_MAX } from './turn-away.ts'

/** Probes and pings of members, etcd's streams and calls, files, the runtime's own. */
const KNOWLEDGE = 128
/** Cancel requests on their way to servers, and sessions that say farewell: few for long, many for a moment. */
const PASSING = CANCELS_MAX + DISMISSED_MAX
/** Client and server; a retry has its old one closed before. */
const PER_SESSION = 2
/** What a worker thread has open besides its sessions: its event loop, and a listening socket for each address. */
const PER_THREAD = 24

/** What sessions may not take: the status port, clients that are told that there is no place, everything above. */
export function reservedDescriptors(listeners: number): number {
  return KNOWLEDGE + CONNECTIONS_MAX + listeners * (REFUSALS_MAX + PASSING)
}

interface Limited {
  readonly name: string
  readonly connectionsMax: number
}

export interface SessionLimits {
  /** One for each listener, in order. */
  readonly sessionsMax: readonly number[]
  /** What to tell the operator when a limit had to be lowered. */
  readonly says: string | undefined
}

/**
 * Lowers limits when all of them together would need more descriptors than there are: the highest first, all to the same
 * height, so that a small limit that somebody chose stays what it is beside a large default.
 */
export function sessionLimits(
  listeners: readonly Limited[],
  descriptorsMax: number | undefined,
  threads = 1,
): SessionLimits {
  const wanted = listeners.map(listener => listener.connectionsMax)
  const sum = wanted.reduce((total, one) => total + one, 0)
  if (descriptorsMax === undefined) return { sessionsMax: wanted, says: undefined }
  const ofThreads = threads > 1 ? threads * (PER_THREAD + listeners.length) : 0
  const reserved = reservedDescriptors(listeners.length) + ofThreads
  const possible = Math.max(1, Math.floor((descriptorsMax - reserved) / PER_SESSION))
  if (sum <= possible) return { sessionsMax: wanted, says: undefined }
  const height = commonHeight(wanted, possible)
  const sessionsMax = wanted.map(one => Math.max(1, Math.min(one, height)))
  const limits = listeners.map(({ name }, index) => `${name} ${sessionsMax[index]}`).join(', ')
  const needed = sum * PER_SESSION + reserved
  const says =
    `the limit of ${descriptorsMax} open files allows fewer sessions than max_connections: ${limits} ` +
    `(raise LimitNOFILE to ${needed}, or lower max_connections)`
  return { sessionsMax, says }
}

/** The greatest whole number to which all must be lowered so that their sum is at most `possible`. */
function commonHeight(wanted: readonly number[], possible: number): number {
  let left = possible
  for (const [index, one] of wanted.toSorted((a, b) => a - b).entries()) {
    const share = Math.floor(left / (wanted.length - index))
    if (one >= share) return share
    left -= one
  }
  return possible
}

/** The soft limit of open files in a text like /proc/self/limits; undefined when it is not there or unlimited. */
export function parseDescriptorsMax(limits: string): number | undefined {
  const match = /^Max open files\s+(\d+)/m.exec(limits)
  return match === null ? undefined : Number(match[1])
}
