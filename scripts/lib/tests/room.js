// Whether the machine has room for one more test file. A file is expensive while its servers start and cheap while it
// waits for them, so the number of files at once alone says little.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOKS = 6
const LOOK_EVERY_MS = 250
const RUNNABLE_PER_CORE = 2
const WAIT_AT_MOST_MS = 90_000

/**
 * Resolves when, over some seconds, no more processes wanted the processors than the machine serves well; after a
 * while it resolves anyway, so that a machine that is busy with something else still gets through.
 * @param {AbortSignal} signal ends the wait at once
 */
export async function waitForRoom(signal) {
  const giveUp = performance.now() + WAIT_AT_MOST_MS
  while (performance.now() < giveUp && !signal.aborted) {
    let sum = 0
    for (let look = 0; look < LOOKS && !signal.aborted; look += 1) {
      await sleep(LOOK_EVERY_MS)
      sum += runnable()
    }
    if (sum / LOOKS <= RUNNABLE_PER_CORE * availableParallelism()) return
  }
}

/** Processes and threads that run or want to (proc(5), /proc/loadavg), without the one that asks. */
function runnable() {
  const [, , , counts = ''] = readFileSync('/proc/loadavg', 'utf8').split(' ')
  return Math.max(0, Number(counts.split('/')[0]) - 1)
}
