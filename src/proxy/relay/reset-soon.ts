// What waits behind the words to the clients that are cut together: resets to their servers, and what those clients say to it.

import type { Clock } from '../../platform/clock.ts'
import { inSlices } from '../slices.ts'
import type { Wire } from './wire.ts'

/** However many cuts follow each other, a server waits no longer than this many rounds of the loop. */
const ROUNDS_MAX = 100

let waiting: Wire[] = []
/** Clients that were told and are read again once all have been. */
let told: Wire[] = []
/** Not later than this they are read again, however long the cut takes: they are waited for a second only (farewell.ts). */
const READ_WITHIN_MS = 250
let firstToldAtMs = 0
let lastCount = 0
let rounds = 0
let othersPending = (): boolean => false

/** In a thread: resets also wait while `isPending` says that clients elsewhere have not been told, 100 ms at most. */
export function waitForOthers(isPending: () => boolean): void {
  othersPending = isPending
}

/**
 * After the words and the FIN (some leave in the next round of the loop) to all the clients that are cut now: each reset
 * wakes a server process to its end, and hundreds of them would take the processor from us in the middle of it. The
 * caller must let no byte of this wire pass any more.
 */
export function resetSoon(clock: Clock, wire: Wire): void {
  wire.stop()
  waiting.push(wire)
  if (waiting.length > 1) return
  lastCount = 0
  rounds = 0
  setImmediate(look, clock)
}

/**
 * Behind `resetSoon` for its server: a client that has its last words is read again when the others of the cut have theirs. Its
 * answer to them, a close as a rule, would be dealt with in front of the next slice of words.
 */
export function readSoon(clock: Clock, wire: Wire): void {
  if (waiting.length === 0) return
  wire.stop()
  if (told.push(wire) === 1) firstToldAtMs = clock.monotonicMs()
}

function readTold(clock: Clock): void {
  const clients = told
  told = []
  inSlices(clock, clients, wire => wire.start())
}

function look(clock: Clock): void {
  rounds += 1
  if (told.length > 0 && clock.monotonicMs() - firstToldAtMs > READ_WITHIN_MS) readTold(clock)
  if (waiting.length > lastCount && rounds < ROUNDS_MAX) {
    lastCount = waiting.length
    setImmediate(look, clock)
    return
  }
  if (rounds < ROUNDS_MAX && othersPending()) {
    setTimeout(look, 1, clock)
    return
  }
  const wires = waiting
  waiting = []
  readTold(clock)
  // Each reset wakes a process: thousands of them must not keep the new leader's first sessions waiting.
  inSlices(clock, wires, wire => wire.reset())
}
