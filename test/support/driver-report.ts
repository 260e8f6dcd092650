// What clients saw of a fault: their longest wait between two answers, and the errors in their drivers' words.

import type { Attempt } from './drivers.ts'

export interface Seen {
  /** Between the ends of two answers, from the last one before the fault on. */
  readonly gapMs: number
  /** From the fault to the end of the first answer of another server than before; undefined: the server stayed. */
  readonly elsewhereAfterMs: number | undefined
  /** Answers after the fault. */
  readonly answers: number
  /** Each text once, with how often it came. */
  readonly errors: ReadonlyMap<string, number>
}

/** Sums up one client's attempts around a fault at `faultAt` (wall clock). */
export function seenBy(attempts: readonly Attempt[], faultAt: number): Seen {
  const answers = attempts.filter(({ server }) => server !== undefined)
  const before = answers.filter(({ at }) => at <= faultAt).at(-1)
  const after = answers.filter(({ at }) => at > faultAt)
  const ends = [...(before === undefined ? [] : [before]), ...after].map(({ at }) => at)
  const gaps = ends.slice(1).map((at, index) => at - (ends[index] ?? at))
  const elsewhere = after.find(({ server }) => server !== before?.server)
  const errors = new Map<string, number>()
  for (const { at, error, phase, state } of attempts) {
    if (error === undefined || at <= faultAt) continue
    const text = printError(phase ?? '', state ?? undefined, error)
    errors.set(text, (errors.get(text) ?? 0) + 1)
  }
  return {
    gapMs: Math.max(0, ...gaps),
    elsewhereAfterMs: elsewhere === undefined ? undefined : elsewhere.at - faultAt,
    answers: after.length,
    errors,
  }
}

/** One line, with what differs from run to run (ports, addresses) left out. */
function printError(phase: string, state: string | undefined, error: string): string {
  const text = error
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/127\.\d+\.\d+\.\d+/g, 'HOST')
    .replaceAll(/HOST:\d+/g, 'HOST:PORT')
    .replaceAll(/port \d+/g, 'port PORT')
  return `${phase}${state === undefined ? '' : ` ${state}`}: ${text}`
}

/** The line of one client in a report. */
export function printSeen(client: string, { gapMs, elsewhereAfterMs, answers, errors }: Seen): string {
  const told = [...errors].map(([text, count]) => `${count} x "${text}"`)
  const elsewhere = elsewhereAfterMs === undefined ? 'stayed' : `${Math.round(elsewhereAfterMs)} ms`
  const rest = told.length === 0 ? 'no error' : told.join('; ')
  return `${client}: longest wait ${Math.round(gapMs)} ms, another server after ${elsewhere}, ${answers} answers, ${rest}`
}
