// One keeper of an address in a host's network: an abstract socket, which the kernel frees with the process that bound it.

import { createServer, type Server } from 'node:net'
import type { Clock } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'

const AGAIN_MS = 20

/** Kept until the process ends or `release`. */
export interface HostLock {
  release(): void
}

/**
 * Waits until no other process of this network namespace keeps one of the addresses (`lockNames`). Undefined when the
 * deadline comes first: then it keeps none of them.
 */
export async function lockAddresses(
  clock: Clock,
  addresses: readonly string[],
  by: Deadline,
): Promise<HostLock | undefined> {
  const servers: Server[] = []
  const release = () => {
    for (const server of servers) server.close()
  }
  // Always in the same order: two processes with the same addresses must not hold one each.
  for (const address of [...addresses].sort()) {
    let server = await bind(address)
    while (server === undefined && !by.isOver()) {
      await clock.sleep(AGAIN_MS)
      server = await bind(address)
    }
    if (server === undefined) {
      release()
      return undefined
    }
    servers.push(server)
  }
  return { release }
}

/** Rejects for anything but a name that is taken. */
function bind(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(`\0pgherd-vip/${address}`, () => resolve(server))
    server.unref()
  })
}
