// Hosts that share a virtual address, a client on the same switch, and a witness in the client's namespace that writes down who
// answers for the address and who serves through it.

import { type ChildProcess, spawn } from 'node:child_process'
import { chown, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { stringify } from 'yaml'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import type { Host } from '../../src/demo/host.ts'
import { merge, type Settings } from '../../src/demo/member-config.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from './netns.ts'
import { makeWorkplace, type Scope, type Workplace } from './workplace.ts'

export const VIP = '10.77.0.210'
export const VIP6 = 'fd77::210'
export const ADMIN_PORT = 7000
const INTERFACE = 'eth0'
/** Each takeover waits 140 ms for an answer to its probe. */
const TWO_TAKEOVERS_MS = 250

/** One thing that the witness saw. */
export interface Sight {
  readonly kind: 'answer' | 'announcement' | 'served' | 'failed'
  readonly atMs: number
  readonly startedMs?: number
  readonly mac?: string
  readonly name?: string
}

/** A proxy that may hold the address; without any database behind it. */
export interface Holder {
  readonly name: string
  readonly host: Host
  readonly server: Server
  readonly mac: string
}

export class VipStage {
  readonly work: Workplace
  readonly network: Network
  readonly etcd: EtcdCluster
  readonly client: Host
  readonly holders: readonly Holder[]
  readonly sights: Sight[] = []

  private constructor(
    work: Workplace,
    network: Network,
    etcd: EtcdCluster,
    client: Host,
    holders: readonly Holder[],
  ) {
    this.work = work
    this.network = network
    this.etcd = etcd
    this.client = client
    this.holders = holders
  }

  /** etcd runs and the witness watches; the proxies are not started yet. */
  static async open(scope: Scope, vip: Settings = {}, names = ['a', 'b', 'c']): Promise<VipStage> {
    const work = await makeWorkplace(scope)
    const network = await Network.create(work)
    const etcd = await EtcdCluster.create(network, 1)
    await etcd.start()
    const client = await network.host('client')
    const holders: Holder[] = []
    for (const [index, name] of names.entries()) {
      const host = await network.host(name)
      const server = await holderOn(work, host, etcd.endpoints, merge({ priority: 150 - index * 10 }, vip))
      const link = await network.inside(host, ['ip', '-br', 'link', 'show', 'dev', INTERFACE])
      const mac = /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(link)?.[0] ?? ''
      holders.push({ name, host, server, mac })
    }
    const stage = new VipStage(work, network, etcd, client, holders)
    await stage.#watch()
    return stage
  }

  holder(name: string): Holder {
    const found = this.holders.find(holder => holder.name === name)
    if (found === undefined) throw new Error(`no holder ${name}`)
    return found
  }

  /** Names of the holders on whose interface an address is. */
  async holding(address = VIP): Promise<readonly string[]> {
    const texts = await Promise.all(
      this.holders.map(({ host }) =>
        this.network.inside(host, ['ip', '-br', 'address', 'show', 'dev', INTERFACE]),
      ),
    )
    return this.holders
      .filter((_holder, index) => texts[index]?.includes(` ${address}/`) === true)
      .map(({ name }) => name)
  }

  /** Who holds the address, once it is one host alone. */
  async owner(withinMs = 45_000): Promise<Holder> {
    let names: readonly string[] = []
    await waitFor('one host to hold the address', { withinMs, everyMs: 20 }, async note => {
      names = await this.holding()
      note(names.join(', ') || 'nobody')
      return names.length === 1
    })
    return this.holder(names[0] ?? '')
  }

  /** Waits until another one than `owner` serves the client, in a connection that began after `sinceMs`. */
  async heirOf(owner: Holder, sinceMs: number, withinMs = 45_000): Promise<Holder> {
    let found: Sight | undefined
    await waitFor('another host to serve', { withinMs, everyMs: 20 }, note => {
      found = this.sights.find(
        ({ kind, name, startedMs = 0 }) => kind === 'served' && name !== owner.name && startedMs >= sinceMs,
      )
      note(`last: ${JSON.stringify(this.sights.findLast(({ kind }) => /served|failed/.test(kind)))}`)
      return found !== undefined
    })
    return this.holder(found?.name ?? '')
  }

  /** Waits until one owns and every other one waits. */
  async settle(): Promise<void> {
    await this.owner()
    await waitFor('one owner and candidates', { withinMs: 45_000, everyMs: 50 }, async note => {
      const states = await Promise.all(this.holders.map(({ name }) => this.status(name)))
      const words = states.map(status => `${status?.['state']}`).sort()
      note(words.join(', '))
      return words.join() === ['owner', ...words.slice(1).fill('standby')].join()
    })
    await waitFor('the client to be served', { withinMs: 45_000, everyMs: 20 }, () => {
      const last = this.sights.findLast(({ kind }) => kind === 'served' || kind === 'failed')
      return last?.kind === 'served'
    })
  }

  /** The longest time without an answer to the client between `fromMs` and the last thing seen. */
  gapMs(fromMs: number): number {
    const served = this.sights.filter(({ kind, atMs }) => kind === 'served' && atMs >= fromMs - 500)
    return served.reduce((gap, { atMs }, index) => Math.max(gap, atMs - (served[index - 1]?.atMs ?? atMs)), 0)
  }

  /**
   * Where two hosts answered at the same time since `fromMs`: one answered, another one, and then the first again, sooner than
   * two takeovers with their probes can follow each other.
   */
  together(fromMs: number): readonly string[] {
    const answers = this.sights.filter(({ kind, atMs }) => kind === 'answer' && atMs >= fromMs)
    const lastMs = new Map<string | undefined, number>()
    let changedMs = Number.NEGATIVE_INFINITY
    return answers.flatMap(({ atMs, mac }, index) => {
      const before = answers[index - 1]
      if (before !== undefined && before.mac !== mac) changedMs = before.atMs
      const own = lastMs.get(mac)
      lastMs.set(mac, atMs)
      const isTogether = own !== undefined && own <= changedMs && atMs - own < TWO_TAKEOVERS_MS
      return isTogether
        ? [`${this.#nameOf(mac)} again ${Math.round(atMs - own)} ms after, and another one between`]
        : []
    })
  }

  #nameOf(mac: string | undefined): string {
    return this.holders.find(holder => holder.mac === mac)?.name ?? `${mac}`
  }

  /** What the proxy of a holder says of its address; undefined when it does not answer. */
  async status(name: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    try {
      const { address } = this.holder(name).host
      const answer = await fetch(`http://${address}:${ADMIN_PORT}/status`, {
        signal: AbortSignal.timeout(1_000),
      })
      const document = (await answer.json()) as {
        readonly vips: readonly Readonly<Record<string, unknown>>[]
      }
      return document.vips[0]
    } catch {
      return undefined
    }
  }

  async #watch(): Promise<void> {
    const script = path.join(import.meta.dirname, 'vip-witness.ts')
    const words = [
      ...this.client.enter,
      process.execPath,
      script,
      INTERFACE,
      this.client.address,
      VIP,
      `${ADMIN_PORT}`,
    ]
    const [program = '', ...args] = words
    const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.work.defer(() => child.kill('SIGKILL'))
    const ready = Promise.withResolvers<void>()
    child.on('exit', code => ready.reject(new Error(`the witness ended: ${code}`)))
    if (child.stdout === null) throw new Error('no output')
    createInterface({ input: child.stdout }).on('line', line => {
      const sight = JSON.parse(line) as Sight | { readonly kind: 'ready' }
      if (sight.kind === 'ready') ready.resolve()
      else this.sights.push(sight)
    })
    await ready.promise
  }
}

/** A proxy as its service would start it: not root, with the two capabilities and nothing else. Not started yet. */
export async function holderOn(
  work: Workplace,
  host: Host,
  etcd: readonly string[],
  vip: Settings,
  vipName = 'write',
): Promise<Server> {
  const file = host.path('proxy.yml')
  const text = stringify({
    scope: 'pgsql',
    name: host.name,
    etcd: { hosts: [...etcd] },
    listeners: { write: { bind: '*:5000', pool: 'leader' } },
    admin: { bind: `*:${ADMIN_PORT}` },
    vip: { [vipName]: merge({ addresses: [VIP], interface: INTERFACE, ttl: 2 }, vip) },
  })
  await writeFile(file, text)
  const { uid, gid } = host.account
  await chown(file, uid, gid)
  const command = [...withCapabilities(uid, gid), ...work.program, 'proxy', file]
  return host.server({ name: 'proxy', command, privileged: true })
}

/** Words that run a program as that account, with the capabilities that systemd's AmbientCapabilities would give. */
export function withCapabilities(uid: number, gid: number): readonly string[] {
  const capabilities = '+net_admin,+net_raw'
  return [
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    ...[`--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`, '--'],
  ]
}
