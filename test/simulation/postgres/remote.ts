// A question to another machine's server over the network, with a deadline.

import { type Deadline, DeadlineError } from '../../../src/platform/deadline.ts'
import type { Upstream } from '../../../src/postgres/port.ts'
import type { Process } from '../core/machine.ts'
import type { SimServer } from './server.ts'

/** Asks the server at `target` and resolves with the answer; rejects when none comes until `by`. */
export function askServer<T>(
  process: Process,
  own: SimServer,
  target: Upstream,
  by: Deadline,
  question: (server: SimServer) => T,
): Promise<T> {
  const { world, machine } = own
  const remote = world.at(target.address)
  return new Promise((resolve, reject) => {
    const what = `asking the server of ${target.member}`
    const timer = process.setTimer(by.remainingMs(), () => reject(new DeadlineError(what)))
    if (remote === undefined) return
    world.network.send(machine.name, remote.machine.name, () =>
      remote.process.deliver(() => {
        const answer = question(remote)
        world.network.send(remote.machine.name, machine.name, () =>
          process.deliver(() => {
            timer.cancel()
            resolve(answer)
          }),
        )
      }),
    )
  })
}
