// The life of a session as a table of allowed steps.
//
//   startup -> connecting -> streaming -> draining -> closed
//      |  ^       |  ^                       ^
//      v  |       v  |                       |
//      draining   held ----------------------+

import { invariant } from '../platform/errors.ts'

export type SessionState = 'startup' | 'held' | 'connecting' | 'streaming' | 'draining' | 'closed'

/** `held` and `connecting` alternate: a backend that refuses sends its session back into the queue. */
export const sessionSteps: Readonly<Record<SessionState, readonly SessionState[]>> = {
  startup: ['held', 'connecting', 'draining', 'closed'],
  held: ['connecting', 'draining', 'closed'],
  connecting: ['held', 'streaming', 'draining', 'closed'],
  streaming: ['draining', 'closed'],
  draining: ['closed'],
  closed: [],
}

export const sessionStates = Object.keys(sessionSteps) as readonly SessionState[]

/** Checks a step; a forbidden one is a programmer's error. */
export function checkStep(from: SessionState, to: SessionState): void {
  invariant(sessionSteps[from].includes(to), `a session cannot go from ${from} to ${to}`)
}
