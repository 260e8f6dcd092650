// What the store's client has to tell: one event for each thing worth knowing, and not more than people can read.

import type { EventDraft } from '../cluster/event.ts'
import type { Clock } from '../platform/clock.ts'

export interface Telling {
  /** The endpoint, call or key that it is about: the same thing about the same one is told once in a while. */
  readonly about?: string
  readonly facts?: EventDraft['facts']
}

/** Tells an event of this kind. */
export type Tell = (kind: string, says: string, more?: Telling) => void

export const tellNobody: Tell = () => {}

/** The same kind about the same thing is told again after this time; what was left out is counted in the next one. */
const REPEAT_MS = 10_000
const REMEMBERED_MAX = 500

interface Told {
  atMs: number
  omitted: number
}

/** Passes events on to `sink`, the repeated ones thinned out. */
export function createTell(clock: Clock, sink: (draft: EventDraft) => void): Tell {
  const told = new Map<string, Told>()
  return (kind, says, { about = '', facts = {} } = {}) => {
    const nowMs = clock.monotonicMs()
    const key = `${kind} ${about}`
    const last = told.get(key)
    if (last !== undefined && nowMs - last.atMs < REPEAT_MS) {
      last.omitted += 1
      return
    }
    if (told.size >= REMEMBERED_MAX) told.clear()
    told.set(key, { atMs: nowMs, omitted: 0 })
    const omitted = last?.omitted ?? 0
    sink({ kind, says: omitted === 0 ? says : `${says} (and ${omitted} more of it)`, facts })
  }
}
