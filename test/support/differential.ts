// Debian's HAProxy and our proxy side by side, each on a host of its own, with the same haproxy.cfg byte for byte.

import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Host } from '../../src/demo/host.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { dial, type Watched } from '../integration/proxy-wire.ts'
import { startup } from '../unit/proxy/bytes.ts'
import { Network } from './netns.ts'
import { makeWorkplace, type Scope, type Workplace } from './workplace.ts'

const SEED = path.resolve(import.meta.dirname, '../fixtures/seed/haproxy.cfg')
/** The one of the seed's servers. */
export const SUBNET = '192.168.234'
/** Where the test itself listens. */
export const OWN_ADDRESS = `${SUBNET}.254`

export interface Side {
  readonly host: Host
  readonly process: Server
}

/** The network for both; nothing runs yet. */
export class Differential {
  readonly work: Workplace
  readonly network: Network

  private constructor(work: Workplace, network: Network) {
    this.work = work
    this.network = network
  }

  static async create(scope: Scope): Promise<Differential> {
    const work = await makeWorkplace(scope)
    const network = await Network.create(work, { subnet: SUBNET, addresses: { haproxy: 205, pgherd: 206 } })
    return new Differential(work, network)
  }

  /** Starts both with the seed's file and, behind it, further sections. */
  async start(
    sections = '',
  ): Promise<{ readonly theirs: Side; readonly ours: Side; readonly sides: readonly [Side, Side] }> {
    const text = `${await readFile(SEED, 'utf8')}${sections}`
    const theirs = await this.#startSide('haproxy', text)
    const ours = await this.#startSide('pgherd', text)
    return { theirs, ours, sides: [theirs, ours] }
  }

  async #startSide(name: 'haproxy' | 'pgherd', text: string): Promise<Side> {
    const host = await this.network.host(name)
    const file = host.path('haproxy.cfg')
    await writeFile(file, text)
    const { program } = this.work
    const command = name === 'haproxy' ? ['haproxy', '-db', '-f', file] : [...program, 'proxy', '-f', file]
    const process = host.server({ name, command })
    await process.start()
    const ports = [...text.matchAll(/bind \*(:\d+)/g)].map(([, port = '']) => port)
    await waitFor(`${name} to listen on all ports`, { withinMs: 20_000 }, async note => {
      const listening = await this.network.inside(host, ['ss', '-Hltn'])
      note(listening)
      return ports.every(port => new RegExp(`${port}\\b`).test(listening))
    })
    return { host, process }
  }
}

/** Runs a command in the test's own network and resolves to its output. */
export async function shell(words: readonly string[]): Promise<string> {
  const [program = '', ...args] = words
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
  const { stdout } = await runChild(program, args, { by: Deadline.in(realClock, 5000), env })
  return stdout
}

/** A client that sends its start-up packet at once. */
export async function enter({ host }: Side, port = 5000): Promise<Watched> {
  const client = await dial({ host: host.address, port })
  client.socket.write(startup({ user: 'postgres' }))
  return client
}
