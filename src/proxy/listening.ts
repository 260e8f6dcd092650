// Binds a server to its address, or says in one line what is in the way.

import { type Bind, printBind } from '../config/proxy/types.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import type { WireServer } from './relay/wire.ts'

const BACKLOG = 4096

/** Resolves when the server listens. Throws UserError naming the address, the setting and the cure. */
export function listen(server: WireServer, bind: Bind, setting: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => reject(explain(error, bind, setting))
    server.once('error', onError)
    const { host, port, ipv6Only = false } = bind
    const options = { port, backlog: BACKLOG, ipv6Only, ...(host === undefined ? {} : { host }) }
    server.listen(options, () => {
      server.off('error', onError)
      // A later error must not end the process: the next accept may work again. Of a lack of descriptors nobody is told:
      // libuv closes the client, or leaves it in the kernel's queue.
      server.on('error', () => {})
      resolve()
    })
  })
}

function explain(error: NodeJS.ErrnoException, bind: Bind, setting: string): UserError {
  const where = `cannot listen on ${printBind(bind)} (${setting})`
  if (error.code === 'EADDRINUSE') {
    return new UserError(
      `${where}: another program listens there; stop it or give another port (ss -ltnp shows who)`,
    )
  }
  if (error.code === 'EACCES') {
    return new UserError(
      `${where}: not permitted; ports below 1024 need CAP_NET_BIND_SERVICE, or take a higher one`,
    )
  }
  if (error.code === 'EADDRNOTAVAIL') {
    return new UserError(`${where}: this host does not have that address`)
  }
  return new UserError(`${where}: ${messageOf(error)}`)
}
