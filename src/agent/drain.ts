// Ends a primary's sessions between their transactions before a planned stop: who has nothing open loses nothing, who is
// in a transaction gets the time to finish it. PostgreSQL itself ends them (57P01 inside the session), so TLS does not matter.
// Nothing here is needed for safety: whatever fails, the stop comes all the same.

import { printJson } from '../cluster/json.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

const EVERY_MS = 100
const QUERY_MS = 1_000
/** Proxies hear of it within milliseconds; one that does not is not waited for longer. */
const ANNOUNCE_MS = 1_000
const PROXIES_HOLD_MS = 50

/** What a drain needs. */
export interface DrainParts {
  readonly clock: Clock
  readonly log: Logger
  /** Announces to the proxies that the epoch ends: the key `pgherd/closing` with this value. */
  announce(value: string, by: Deadline): Promise<unknown>
  /** Ends idle sessions of clients; returns how many sessions of clients are left. */
  endIdle(by: Deadline): Promise<number>
}

/** The key's value: which epoch ends, and how long transactions get, so that proxies do not let go before that. */
export function printClosing(createRevision: bigint, drainMs: number): string {
  return printJson({ create_revision: createRevision, drain_ms: drainMs })
}

/** Holds the proxies, then ends idle sessions every 100 ms until none is left or `drainMs` are over. Never rejects. */
export async function drain(parts: DrainParts, createRevision: bigint, drainMs: number): Promise<void> {
  const { clock, log } = parts
  const startedAtMs = clock.monotonicMs()
  try {
    await parts.announce(printClosing(createRevision, drainMs), Deadline.in(clock, ANNOUNCE_MS))
    await clock.sleep(PROXIES_HOLD_MS)
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
