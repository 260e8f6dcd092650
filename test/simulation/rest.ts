// HTTP between modelled machines: one GET with a deadline. A dead process refuses at once, a stopped one is silent.

import type { Process } from './core/machine.ts'
import type { Network } from './core/network.ts'
import type { SimMember } from './member.ts'

export interface RestAnswer {
  readonly code: number
  readonly body: string
}

/** A GET, or a POST of `posted`. */
export interface RestCall {
  readonly path: string
  readonly posted?: string
  readonly timeoutMs: number
}

/** Undefined when no answer came within the call's time. */
export function askRest(
  network: Network,
  caller: Process,
  member: SimMember | undefined,
  { path, posted, timeoutMs }: RestCall,
): Promise<RestAnswer | undefined> {
  return new Promise(resolve => {
    const timer = caller.setTimer(timeoutMs, () => resolve(undefined))
    if (member === undefined) return
    const here = caller.machine.name
    const there = member.machine.name
    const back = (answer: RestAnswer | undefined) =>
      network.send(there, here, () =>
        caller.deliver(() => {
          timer.cancel()
          resolve(answer)
        }),
      )
    network.send(here, there, () => {
      const { process } = member
      if (process === undefined || process.isDead) {
        back(undefined)
        return
      }
      process.deliver(() => {
        const answering = member.rest(path, posted)
        if (answering === undefined) back(undefined)
        else answering.then(back, () => back(undefined))
      })
    })
  })
}
