// Asks a second time elsewhere when the first answer is slow. Only for requests that may be applied twice.

import type { Clock } from '../../platform/clock.ts'

/**
 * Starts `first`, and `second` after `delayMs` or as soon as `first` failed; settles with the first success. Rejects
 * with the later error when both failed. The slower one goes on until its own deadline.
 */
export function hedge<T>(
  clock: Clock,
  delayMs: number,
  first: () => Promise<T>,
  second: () => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let failures = 0
    const fail = (error: unknown) => {
      failures += 1
      if (failures === 2) reject(error)
    }
    let isSecondStarted = false
    const startSecond = () => {
      if (isSecondStarted) return
      isSecondStarted = true
      timer.cancel()
      second().then(resolve, fail)
    }
    const timer = clock.setTimer(delayMs, startSecond)
    first().then(
      value => {
        timer.cancel()
        isSecondStarted = true
        resolve(value)
      },
      (error: unknown) => {
        fail(error)
        startSecond()
      },
    )
  })
}
