// Is somebody else on our server's port? Asked before the agent begins, while our own server does not run: PostgreSQL would
// say it only in its log, after a start that cannot succeed.

import { createServer } from 'node:net'

/** The first of these addresses (`*` is all) on which another program listens at `port`; undefined when there is none. */
export async function occupiedAddress(listenAddresses: string, port: number): Promise<string | undefined> {
  for (const address of listenAddresses.split(',').map(part => part.trim())) {
    if (address !== '' && (await isOccupied(address, port))) return address
  }
  return undefined
}

/** Other troubles (an address that is not here yet, a port below 1024) are left to PostgreSQL, which knows them better. */
function isOccupied(address: string, port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'))
    const where = address === '*' ? { port } : { host: address, port }
    server.listen({ ...where, exclusive: true }, () => server.close(() => resolve(false)))
  })
}
