// Waiting for something to become true, with a deadline and a reason. The failure says what was last seen.

import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../platform/errors.ts'

/** How long to wait and how often to look. */
export interface WaitLimits {
  readonly withinMs: number
  /** Default 100. */
  readonly everyMs?: number
  readonly signal?: AbortSignal
}

/** Notes what the probe sees now, for the message of a wait that fails. */
export type Note = (seen: string) => void

/** Looks once. `undefined` and `false` mean "not yet"; so does an error, whose message is noted behind the look's own note. */
export type Probe<T> = (note: Note) => T | undefined | false | Promise<T | undefined | false>

/** Thrown when a wait ran out: "waited 5.0 s for WHAT; last seen: ...". */
export class WaitError extends Error {
  constructor(what: string, waitedMs: number, seen: string) {
    super(`waited ${(waitedMs / 1000).toFixed(1)} s for ${what}; last seen: ${seen}`)
    this.name = 'WaitError'
  }
}

/**
 * Looks again and again until the probe answers, and resolves to its answer. A look that hangs is abandoned at the
 * deadline. Rejects with WaitError after `withinMs`, or with the signal's reason when it aborts.
 */
export async function waitFor<T>(what: string, limits: WaitLimits, probe: Probe<T>): Promise<T> {
  const started = performance.now()
  const remainingMs = () => limits.withinMs - (performance.now() - started)
  let seen = 'nothing'
  for (;;) {
    limits.signal?.throwIfAborted()
    const found = await look(probe, remainingMs(), text => {
      seen = text
    })
    if (found === TOO_LATE) seen += '; the last look has not ended'
    else if (found !== undefined && found !== false) return found
    if (remainingMs() <= 0) throw new WaitError(what, performance.now() - started, seen)
    await sleep(Math.min(limits.everyMs ?? 100, Math.max(remainingMs(), 0)), undefined, {
      ...(limits.signal === undefined ? {} : { signal: limits.signal }),
    })
  }
}

const TOO_LATE = Symbol('the deadline came first')

async function look<T>(
  probe: Probe<T>,
  limitMs: number,
  note: Note,
): Promise<T | undefined | false | typeof TOO_LATE> {
  const timeout = new AbortController()
  let noted = ''
  const noting: Note = seen => {
    noted = seen
    note(seen)
  }
  const looking = (async () => probe(noting))().catch((error: unknown) => {
    note(noted === '' ? messageOf(error) : `${noted}; then ${messageOf(error)}`)
    return undefined
  })
  const tooLate = sleep(Math.max(limitMs, 0), TOO_LATE, { signal: timeout.signal }).catch(() => TOO_LATE)
  try {
    const first = await Promise.race([looking.then(answer => ({ answer })), tooLate])
    return typeof first === 'object' ? first.answer : TOO_LATE
  } finally {
    timeout.abort()
  }
}
