// Follows the time between two leaders: what ended, since when, what it cost; ends in the failover line.
// Bookkeeping only: it decides nothing.

import { type Epoch, sameEpoch } from '../cluster/epoch.ts'
import type { EventDraft } from '../cluster/event.ts'
import type { Json } from '../cluster/json.ts'
import {
  type FailoverReport,
  type FailoverTimes,
  type LeaderPhases,
  phasesOf,
  printFailover,
} from './failover.ts'
import type { Ending } from './story.ts'

/** Totals of the process; differences between two moments are what an outage cost. */
export interface SessionTotals {
  cut: number
  held: number
  /** How long the last cut of a retired leader's sessions took, from the word that ended its time to the last of them. */
  lastCutMs?: number
}

/** Now, on the monotonic clock. */
type Millis = number

export class Outage {
  readonly #totals: SessionTotals
  #last: { readonly epoch: Epoch; lastGoodAtMs: Millis } | undefined
  #ending: Ending | undefined
  #sinceMs: Millis | undefined
  #keyGoneAtMs: Millis | undefined
  #cutBefore = 0
  #heldBefore = 0

  constructor(totals: SessionTotals) {
    this.#totals = totals
  }

  /** Since when no new write session can start; undefined while it can, or when it never could. */
  get sinceMs(): number | undefined {
    return this.#sinceMs
  }

  /** The last leader that took sessions, and how its time ended. */
  get lastLeader(): { readonly member: string; readonly ending: Ending } | undefined {
    if (this.#last === undefined || this.#ending === undefined) return undefined
    return { member: this.#last.epoch.member, ending: this.#ending }
  }

  /** An answer proved the leadership of the epoch that takes sessions. */
  onGoodAnswer(epoch: Epoch, atMs: number): void {
    if (this.#last !== undefined && sameEpoch(this.#last.epoch, epoch)) this.#last.lastGoodAtMs = atMs
  }

  /** New write sessions can no longer start. */
  onStopped(atMs: number): void {
    if (this.#last === undefined || this.#sinceMs !== undefined) return
    this.#sinceMs = atMs
    this.#cutBefore = this.#totals.cut
    this.#heldBefore = this.#totals.held
  }

  /** The last leader's time ended, in this way. The first reason given is the true one. */
  onEnding(ending: Ending, atMs: number): void {
    this.#ending ??= ending
    if (ending !== 'silent') this.#keyGoneAtMs ??= atMs
  }

  /** New write sessions can start at `epoch`. Returns what there is to report, when the leader is another than before. */
  onRouted(epoch: Epoch, lockAtMs: number, atMs: number): Ended | undefined {
    const { epoch: before, lastGoodAtMs } = this.#last ?? {}
    const keyGoneAtMs = this.#keyGoneAtMs ?? lockAtMs
    const ended: Ended | undefined =
      before === undefined || lastGoodAtMs === undefined || sameEpoch(before, epoch)
        ? undefined
        : {
            from: before.member,
            times: { lastGoodAtMs, keyGoneAtMs, lockAtMs, routedAtMs: atMs },
            sessionsCut: this.#totals.cut - this.#cutBefore,
            sessionsHeld: this.#totals.held - this.#heldBefore,
          }
    this.#last = { epoch, lastGoodAtMs: atMs }
    this.#ending = undefined
    this.#sinceMs = undefined
    this.#keyGoneAtMs = undefined
    return ended
  }
}

/** A finished change of leader, without what only the new leader knows. */
export interface Ended {
  readonly from: string
  readonly times: FailoverTimes
  readonly sessionsCut: number
  readonly sessionsHeld: number
}

/** The failover as an event. */
export function failoverEvent(
  ended: Ended,
  epoch: Epoch,
  timeline: number | undefined,
  phases: LeaderPhases | undefined,
): EventDraft {
  const report: FailoverReport = { ...ended, to: epoch.member, timeline, phases }
  const facts: Record<string, Json> = {
    from: report.from,
    to: report.to,
    sessions_cut: report.sessionsCut,
    sessions_held: report.sessionsHeld,
    seconds: phasesOf(report),
  }
  if (timeline !== undefined) facts['timeline'] = timeline
  return { kind: 'failover', says: printFailover(report), epoch, facts }
}
