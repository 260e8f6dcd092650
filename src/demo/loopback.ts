// Hosts on the loopback network: addresses 127.0.0.x of this machine, told apart by address, not by network.

import { createServer } from 'node:net'
import path from 'node:path'
import { UserError } from '../platform/errors.ts'
import { type Account, serverAccount } from './account.ts'
import { Host } from './host.ts'

/** Makes hosts. The local cluster does not know of what kind they are. */
export interface Layout {
  /** A new host, prepared and empty. Names are unique within a layout. */
  host(name: string): Promise<Host>
}

const FIRST_ADDRESS = 11
const ADDRESSES_MAX = 200

/** One address each on loopback, from 127.0.0.11 on; data below `directory`, logs in one folder. */
export class LoopbackLayout implements Layout {
  readonly #directory: string
  readonly #logs: string
  #account: Account | undefined
  #made = 0

  constructor(directory: string, logs: string) {
    this.#directory = directory
    this.#logs = logs
  }

  async host(name: string): Promise<Host> {
    if (this.#made === ADDRESSES_MAX) throw new Error('too many hosts on loopback')
    const address = `127.0.0.${FIRST_ADDRESS + this.#made}`
    this.#made += 1
    this.#account ??= await serverAccount()
    const place = { name, address, directory: path.join(this.#directory, name), logs: this.#logs, enter: [] }
    const host = new Host(place, this.#account)
    await host.prepare()
    return host
  }
}

/**
 * `preferred` if nobody listens there on this address, otherwise a port that the kernel calls free. Another program may
 * take it before it is used: ask shortly before, and never twice for one purpose. An address of another network namespace
 * cannot be tried from here; its host is ours alone, so the preferred port is free.
 */
export async function freePort(address: string, preferred: number): Promise<number> {
  const wanted = await tryListen(address, preferred)
  if (wanted.port !== undefined || wanted.code === 'EADDRNOTAVAIL') return preferred
  const { port } = await tryListen(address, 0)
  if (port === undefined) throw new UserError(`cannot listen on ${address}: no port is free`)
  return port
}

function tryListen(
  address: string,
  port: number,
): Promise<{ readonly port?: number; readonly code?: string }> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve({ code: error.code ?? 'unknown' }))
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address()
      server.close(() => resolve(typeof bound === 'object' && bound !== null ? { port: bound.port } : {}))
    })
  })
}
