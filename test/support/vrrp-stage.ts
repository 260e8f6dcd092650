// Pairs of hosts that share an address by VRRP, each of them Debian's keepalived or our proxy with the same keepalived.conf, and
// an ear on the switch that writes down who announces which address when.

import { chown, writeFile } from 'node:fs/promises'
import type { Host } from '../../src/demo/host.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { arpClaim } from '../../src/vip/frames.ts'
import { NativeSocket } from '../../src/vip/native-socket.ts'
import { Rtnetlink } from '../../src/vip/rtnetlink.ts'
import { Network } from './netns.ts'
import { withCapabilities } from './vip-stage.ts'
import { makeWorkplace, type Scope, type Workplace } from './workplace.ts'

const BRIDGE = 'pgherd0'
const INTERFACE = 'eth0'
const ADMIN_PORT = 7000

export type Program = 'pgherd' | 'keepalived'

/** What differs between tests; the rest is as people write it. */
export interface PairOptions {
  readonly version?: 2 | 3
  /** Seconds, as in the file. */
  readonly advertInt?: number
  readonly password?: string
  readonly isUnicast?: boolean
  /** Further lines of one host's instance. */
  readonly firstLines?: readonly string[]
  readonly secondLines?: readonly string[]
  /** Further lines of both. */
  readonly lines?: readonly string[]
  readonly addresses?: readonly string[]
  /** Other blocks of both files. */
  readonly blocks?: readonly string[]
}

export interface Peer {
  readonly program: Program
  readonly host: Host
  readonly server: Server
  readonly mac: string
}

/** An announcement of an address. */
interface Claim {
  readonly atMs: number
  readonly address: string
  readonly mac: string
}

export class VrrpStage {
  readonly work: Workplace
  readonly network: Network
  readonly claims: Claim[] = []
  #routers = 0

  private constructor(work: Workplace, network: Network) {
    this.work = work
    this.network = network
  }

  static async open(scope: Scope): Promise<VrrpStage> {
    const work = await makeWorkplace(scope)
    const stage = new VrrpStage(work, await Network.create(work))
    stage.#listen()
    return stage
  }

  /** Two hosts, not started: priority 110 and 100. */
  async pair(first: Program, second: Program, options: PairOptions = {}): Promise<Pair> {
    this.#routers += 1
    const routerId = this.#routers
    const name = `${first}-${second}-${routerId}`
    const hosts = [await this.network.host(`${name}-1`), await this.network.host(`${name}-2`)] as const
    const [vip] = options.addresses ?? [`10.77.0.${200 + routerId}`]
    const own = { routerId, ...options, addresses: options.addresses ?? [`${vip}/24`] }
    const peers = [
      await this.#peer(first, hosts[0], instanceText(own, 110, hosts[0], hosts[1], options.firstLines ?? [])),
      await this.#peer(
        second,
        hosts[1],
        instanceText(own, 100, hosts[1], hosts[0], options.secondLines ?? []),
      ),
    ] as const
    return new Pair(this, name, vip ?? '', peers[0], peers[1])
  }

  async #peer(program: Program, host: Host, text: string): Promise<Peer> {
    const link = await this.network.inside(host, ['ip', '-o', 'link', 'show', 'dev', INTERFACE])
    const mac = /link\/ether (\S+)/.exec(link)?.[1] ?? ''
    const file = host.path('keepalived.conf')
    await writeFile(file, text, { mode: 0o644 })
    return { program, host, mac, server: await serverOf(this.work, program, host, file) }
  }

  #listen(): void {
    const link = new Rtnetlink().link(BRIDGE)
    const socket = new NativeSocket(17, 3, 0)
    const address = Buffer.alloc(20)
    address.writeUInt16LE(17, 0)
    address.writeUInt16BE(0x0806, 2)
    address.writeInt32LE(link?.index ?? 0, 4)
    socket.bind(address)
    socket.follow(frame => {
      const claim = arpClaim(frame)
      if (claim !== undefined) this.claims.push({ atMs: performance.now(), ...claim })
    })
    this.work.defer(() => socket.close())
  }
}

/** Two hosts that share one address. */
export class Pair {
  readonly name: string
  readonly vip: string
  readonly first: Peer
  readonly second: Peer
  readonly #stage: VrrpStage

  constructor(stage: VrrpStage, name: string, vip: string, first: Peer, second: Peer) {
    this.#stage = stage
    this.name = name
    this.vip = vip.replace(/\/.*/, '')
    this.first = first
    this.second = second
  }

  async start(): Promise<void> {
    await Promise.all([this.first.server.start(), this.second.server.start()])
  }

  /** Milliseconds from `act` until the peer announces the address. */
  async takenBy(peer: Peer, act: () => unknown, withinMs = 60_000): Promise<number> {
    const beganMs = performance.now()
    const acting = Promise.resolve(act())
    const claim = await waitFor(`${peer.host.name} to announce ${this.vip}`, { withinMs, everyMs: 5 }, () =>
      this.#stage.claims.find(
        ({ atMs, address, mac }) => atMs >= beganMs && address === this.vip && mac === peer.mac,
      ),
    )
    await acting
    return claim.atMs - beganMs
  }

  /** Which of the two hosts has the address on its interface. */
  async holders(): Promise<readonly Peer[]> {
    const peers = [this.first, this.second]
    const texts = await Promise.all(
      peers.map(({ host }) =>
        this.#stage.network.inside(host, ['ip', '-br', 'address', 'show', 'dev', INTERFACE]),
      ),
    )
    return peers.filter((_peer, index) => texts[index]?.includes(` ${this.vip}/`) === true)
  }

  /** Waits until exactly these hold the address; resolves to how long that took. */
  async heldBy(...wanted: readonly Peer[]): Promise<number> {
    const beganMs = performance.now()
    const names = wanted.map(({ host }) => host.name).join(' and ') || 'nobody'
    // Long enough for the start of a process on a busy machine.
    await waitFor(`${names} to hold ${this.vip}`, { withinMs: 60_000, everyMs: 20 }, async note => {
      const holders = await this.holders()
      note(holders.map(({ host }) => host.name).join(' and ') || 'nobody')
      return holders.length === wanted.length && wanted.every(peer => holders.includes(peer))
    })
    return performance.now() - beganMs
  }
}

function instanceText(
  options: PairOptions & { readonly routerId: number },
  priority: number,
  own: Host,
  other: Host,
  further: readonly string[],
): string {
  const { version = 2, advertInt = 1, password, isUnicast = false, addresses = [] } = options
  const auth = ['    authentication {', '        auth_type PASS', `        auth_pass ${password}`, '    }']
  const unicast = [
    `    unicast_src_ip ${own.address}`,
    '    unicast_peer {',
    `        ${other.address}`,
    '    }',
  ]
  return [
    ...['global_defs {', '    router_id LVS_DEVEL', '    script_user root', '}', ...(options.blocks ?? [])],
    ...['vrrp_instance VI_1 {', '    state BACKUP', `    interface ${INTERFACE}`],
    ...[`    virtual_router_id ${options.routerId}`, `    priority ${priority}`],
    ...[`    version ${version}`, `    advert_int ${advertInt}`],
    ...(password === undefined ? [] : auth),
    ...(isUnicast ? unicast : []),
    ...[...(options.lines ?? []), ...further].map(line => `    ${line}`),
    ...['    virtual_ipaddress {', ...addresses.map(address => `        ${address}`), '    }', '}', ''],
  ].join('\n')
}

/** As its service would start it: keepalived as root, ours with two capabilities and nothing else. */
async function serverOf(work: Workplace, program: Program, host: Host, file: string): Promise<Server> {
  if (program === 'keepalived') {
    const pids = [`--pid=${host.path('run/keepalived.pid')}`, `--vrrp_pid=${host.path('run/vrrp.pid')}`]
    const command = [
      'keepalived',
      '--dont-fork',
      '--log-console',
      '--log-detail',
      '--vrrp',
      ...pids,
      `--use-file=${file}`,
    ]
    return host.server({ name: 'keepalived', command, privileged: true })
  }
  const proxyFile = host.path('haproxy.cfg')
  await writeFile(proxyFile, HAPROXY_TEXT)
  const { uid, gid } = host.account
  for (const one of [file, proxyFile]) await chown(one, uid, gid)
  const command = [...withCapabilities(uid, gid), ...work.program, 'proxy', '-f', proxyFile, '-f', file]
  return host.server({ name: 'pgherd', command, privileged: true })
}

const HAPROXY_TEXT = `defaults
    mode tcp
    timeout client 30m
    timeout server 30m
    timeout connect 4s
listen stats
    mode http
    bind *:${ADMIN_PORT}
    stats enable
    stats uri /
listen pgsql
    bind *:5000
    option httpchk
    server pg1 127.0.0.1:5432 check port 8008
`
