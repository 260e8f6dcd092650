// Debian's HAProxy and our proxy side by side, each on a host of its own, with the same haproxy.cfg byte for byte.

import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Host } from '../../src/demo/host.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { dial, type Watched } from '../integration/proxy-wire.ts'
import { startup } from '../unit/proxy/bytes.ts'
import { Network } from './netns.ts'
import { PlayedServer } from './played-server.ts'
import { makeWorkplace, type Scope, type Workplace } from './workplace.ts'

const SEED = path.resolve(import.meta.dirname, '../fixtures/seed/haproxy.cfg')
/** The one of the seed's servers. */
export const SUBNET = '192.168.234'
/** Where the test itself listens. */
export const OWN_ADDRESS = `${SUBNET}.254`

export interface Side {
  readonly name: 'haproxy' | 'pgherd'
  readonly host: Host
  readonly process: Server
}

interface Sides {
  readonly theirs: Side
  readonly ours: Side
  readonly sides: readonly [Side, Side]
}

/** The address of the played server with this number, counted from 1. */
export function playedAddress(number: number): string {
  return `${SUBNET}.${200 + number}`
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
  async start(sections = ''): Promise<Sides> {
    return this.startWith(`${await readFile(SEED, 'utf8')}${sections}`)
  }

  /** Starts `count` played servers named pg1, pg2 ... */
  async play(count: number): Promise<readonly PlayedServer[]> {
    const servers: PlayedServer[] = []
    for (let number = 1; number <= count; number += 1) {
      const address = playedAddress(number)
      await shell(['ip', 'address', 'add', `${address}/24`, 'dev', 'pgherd0'])
      const server = new PlayedServer(`pg${number}`, address)
      await server.start()
      this.work.defer(async () => server.stop())
      servers.push(server)
    }
    return servers
  }

  /** Starts both with this file. */
  async startWith(text: string): Promise<Sides> {
    const theirs = await this.#startSide('haproxy', text)
    const ours = await this.#startSide('pgherd', text)
    return { theirs, ours, sides: [theirs, ours] }
  }

  async #startSide(name: Side['name'], text: string): Promise<Side> {
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
    return { name, host, process }
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

/** Where a new session ends up: a server's name, `closed`, `refused` or `waits`. */
export async function reaches(side: Side, port = 5000, withinMs = 1500): Promise<string> {
  let client: Watched
  try {
    client = await enter(side, port)
  } catch {
    return 'refused'
  }
  const untilMs = performance.now() + withinMs
  while (performance.now() < untilMs && client.ends === 0 && serverOf(client) === undefined) await sleep(5)
  client.socket.destroy()
  return serverOf(client) ?? (client.ends > 0 ? 'closed' : 'waits')
}

/** The server that a client's session is on. */
export function serverOf({ text }: Watched): string | undefined {
  return /server\0(pg\d)/.exec(text)?.[1]
}

/** Waits until new sessions of this port go to exactly these servers, in any order. */
export async function settled(side: Side, port: number, ...names: readonly string[]): Promise<void> {
  const what = `port ${port} of ${side.name} to lead to ${names.join()}`
  await waitFor(what, { withinMs: 30_000 }, async note => {
    const seen = new Set<string>()
    for (let turn = 0; turn < 2 * names.length; turn += 1) seen.add(await reaches(side, port))
    note([...seen].join())
    return [...seen].sort().join() === [...names].sort().join()
  })
}
