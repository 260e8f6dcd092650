// Ends a primary's sessions between their transactions before a planned stop: who has nothing open loses nothing, who is
// in a transaction gets the time to finish it. PostgreSQL itself ends them (57P01 inside the session), so TLS does not matter.
// Nothing here is needed for safety: whatever fails, the stop comes all the same.

import { printJson } from '../cluster/json.ts'
import { type Holding, holdsFor, type RegisteredProxy } from '../cluster/registration.ts'
import type { Written } from '../dcs/dcs.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

/**
 * Not sooner: the processes that the look before has ended take the processors for some tens of milliseconds, and the time between a
 * look and its signals, in which an encrypted session may begin a transaction, must be short.
 */
const EVERY_MS = 100
const QUERY_MS = 1_000
const ANNOUNCE_MS = 1_000
/** Proxies hear of it within milliseconds. Those that do not say so (not registered, of an older version) get this long. */
const PROXIES_HOLD_MS = 50
/**
 * A proxy that lives answers within some milliseconds; one that died stays registered for up to 15 s. While it is waited for,
 * new sessions are held by all the others, so that a second is the most that a dead one may cost everybody.
 */
const PROXIES_ANSWER_MS = 1_000
const ASK_PROXIES_EVERY_MS = 10

/** What a drain needs. */
export interface DrainParts {
  readonly clock: Clock
  readonly log: Logger
  /** Announces to the proxies that the epoch ends: the key `pgherd/closing` with this value. */
  announce(value: string, by: Deadline): Promise<Written>
  /** The proxies that are registered now, and what each holds for. Rejects when the store does not answer. */
  proxies(by: Deadline): Promise<readonly RegisteredProxy[]>
  /** Told when proxies had not answered in time, by name. */
  onLate(names: readonly string[], waitedMs: number): void
  /** Ends idle sessions of clients; returns how many sessions of clients are left. */
  endIdle(by: Deadline): Promise<number>
}

/** The key's value: which epoch ends, and how long transactions get, so that proxies do not let go before that. */
export function printClosing(createRevision: bigint, drainMs: number): string {
  return printJson({ create_revision: createRevision, drain_ms: drainMs })
}

/** Holds the proxies, then ends idle sessions again and again until none is left or `drainMs` are over. Never rejects. */
export async function drain(parts: DrainParts, createRevision: bigint, drainMs: number): Promise<void> {
  const { clock, log } = parts
  const startedAtMs = clock.monotonicMs()
  try {
    const value = printClosing(createRevision, drainMs)
    const { revision } = await parts.announce(value, Deadline.in(clock, ANNOUNCE_MS))
    const announcedAtMs = clock.monotonicMs()
    const end = revision === undefined ? undefined : { createRevision, revision }
    const isAllHeld = end !== undefined && (await untilHeld(parts, end, drainMs))
    const restMs = announcedAtMs + PROXIES_HOLD_MS - clock.monotonicMs()
    if (!isAllHeld && restMs > 0) await clock.sleep(restMs)
  } catch (error) {
    log.debug(`the end of the term could not be announced: ${messageOf(error)}`)
  }
  const untilMs = startedAtMs + drainMs
  let left = Number.NaN
  while (clock.monotonicMs() < untilMs) {
    try {
      left = await parts.endIdle(Deadline.in(clock, Math.min(QUERY_MS, untilMs - clock.monotonicMs())))
    } catch (error) {
      log.debug(`idle sessions could not be ended: ${messageOf(error)}`)
      break
    }
    if (left === 0) break
    await clock.sleep(EVERY_MS)
  }
  const tookMs = Math.round(clock.monotonicMs() - startedAtMs)
  log.info(`sessions drained in ${tookMs} ms${left > 0 ? `, ${left} still in a transaction` : ''}`)
}

/**
 * Waits until every registered proxy that answers at all has said that it holds for this end: a second at most, and half of
 * the time that transactions get, which it is a part of. One that goes meanwhile is not waited for any longer. True: there are
 * some, and each of them has said so.
 */
async function untilHeld(parts: DrainParts, end: Holding, drainMs: number): Promise<boolean> {
  const { clock } = parts
  const startedAtMs = clock.monotonicMs()
  const by = Deadline.in(clock, Math.min(PROXIES_ANSWER_MS, drainMs / 2))
  let late: readonly RegisteredProxy[] = []
  while (!by.isOver()) {
    try {
      const all = await parts.proxies(by)
      late = all.filter(proxy => proxy.answers && !holdsFor(proxy, end))
      if (late.length === 0) return all.length > 0 && all.every(proxy => proxy.answers)
    } catch (error) {
      parts.log.debug(`the answers of the proxies could not be read: ${messageOf(error)}`)
    }
    await clock.sleep(Math.min(ASK_PROXIES_EVERY_MS, by.remainingMs()))
  }
  if (late.length > 0)
    parts.onLate(
      late.map(({ name }) => name),
      Math.round(clock.monotonicMs() - startedAtMs),
    )
  return false
}
