// Debian's HAProxy and our proxy side by side, each on a host of its own, with one haproxy.cfg and the same played servers.

import { writeFile } from 'node:fs/promises'
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
import { makeWorkplace, type Scope } from './workplace.ts'

const SUBNET = '192.168.234'

export interface Side {
  readonly name: 'haproxy' | 'pgherd'
  readonly host: Host
  readonly process: Server
}

export interface Sides {
  readonly servers: readonly PlayedServer[]
  readonly theirs: Side
  readonly ours: Side
  readonly both: readonly [Side, Side]
}

/** The address of the played server with this number, counted from 1. */
export function playedAddress(number: number): string {
  return `${SUBNET}.${200 + number}`
}

/** Starts `count` played servers named pg1, pg2 ... and both proxies with this file. */
export async function startSides(scope: Scope, file: string, count: number): Promise<Sides> {
  const work = await makeWorkplace(scope)
  const network = await Network.create(work, { subnet: SUBNET, addresses: { haproxy: 215, pgherd: 216 } })
  const servers: PlayedServer[] = []
  for (let number = 1; number <= count; number += 1) {
    const address = playedAddress(number)
    const words = ['address', 'add', `${address}/24`, 'dev', 'pgherd0']
    const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
    await runChild('ip', words, { by: Deadline.in(realClock, 5000), env })
    const server = new PlayedServer(`pg${number}`, address)
    await server.start()
    work.defer(async () => server.stop())
    servers.push(server)
  }
  const start = async (name: Side['name']): Promise<Side> => {
    const host = await network.host(name)
    const path = host.path('haproxy.cfg')
    await writeFile(path, file)
    const command =
      name === 'haproxy' ? ['haproxy', '-db', '-f', path] : [...work.program, 'proxy', '-f', path]
    const started = host.server({ name, command })
    await started.start()
    return { name, host, process: started }
  }
  const theirs = await start('haproxy')
  const ours = await start('pgherd')
  return { servers, theirs, ours, both: [theirs, ours] }
}

/** A client that sends its start-up packet at once. */
export async function enter({ host }: Side, port: number): Promise<Watched> {
  const client = await dial({ host: host.address, port })
  client.socket.write(startup({ user: 'postgres' }))
  return client
}

/** Where a new session ends up: a server's name, `closed`, `refused` or `waits`. */
export async function reaches(side: Side, port: number, withinMs = 1500): Promise<string> {
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
