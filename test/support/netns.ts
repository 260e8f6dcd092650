// Hosts with a network namespace each, joined by a bridge in the test file's own namespace, and a network that can be cut.
// Needs the namespaces that the runner gives to a test file; the machine's own network is never touched.

import { spawn } from 'node:child_process'
import { readlink } from 'node:fs/promises'
import path from 'node:path'
import { type Account, serverAccount } from '../../src/demo/account.ts'
import { Host } from '../../src/demo/host.ts'
import type { Layout } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import type { Workplace } from './workplace.ts'

const BRIDGE = 'pgherd0'
const COMMAND_WITHIN_MS = 60_000

/** How the network looks. */
export interface NetworkOptions {
  /** The first three bytes of every address. Default `10.77.0`. */
  readonly subnet?: string
  /** Last byte by host name; others are counted from 11. */
  readonly addresses?: Readonly<Record<string, number>>
  /** Name of the interface inside a host. Default `eth0`. */
  readonly interfaceName?: string
  /** Capabilities of the hosts' programs; none by default. */
  readonly capabilities?: readonly string[]
}

/** What a cut takes away: packets in both directions, or only those from the first host to the second. */
export type Direction = 'both' | 'forward'

interface Node {
  readonly host: Host
  readonly holderPid: number
  readonly mac: string
}

/** A switch with hosts on it. The test itself is on it too, with address `<subnet>.254`. */
export class Network implements Layout {
  readonly #work: Workplace
  readonly #subnet: string
  readonly #addresses: Readonly<Record<string, number>>
  readonly #interface: string
  readonly #account: Account
  readonly #nodes = new Map<string, Node>()
  #next = 11

  private constructor(work: Workplace, account: Account, options: NetworkOptions) {
    this.#work = work
    this.#account = account
    this.#subnet = options.subnet ?? '10.77.0'
    this.#addresses = options.addresses ?? {}
    this.#interface = options.interfaceName ?? 'eth0'
  }

  /** Makes the bridge. Rejects outside the runner's namespaces. */
  static async create(work: Workplace, options: NetworkOptions = {}): Promise<Network> {
    if (process.env['PGHERD_ISOLATED'] !== '1') {
      throw new Error('this test needs a network of its own; run it as: npm test -- FILE')
    }
    const { capabilities } = options
    const account = { ...(await serverAccount()), ...(capabilities === undefined ? {} : { capabilities }) }
    const network = new Network(work, account, options)
    await run(['ip', 'link', 'add', 'name', BRIDGE, 'type', 'bridge', 'forward_delay', '0'])
    await run(['ip', 'address', 'add', `${network.#subnet}.254/24`, 'dev', BRIDGE])
    await run(['ip', 'link', 'set', BRIDGE, 'up'])
    work.defer(() => network.#remove())
    return network
  }

  /** A host on the switch, in a network namespace of its own. */
  async host(name: string): Promise<Host> {
    const number = this.#addresses[name] ?? this.#next++
    const holderPid = await holdNamespace()
    const port = `v${this.#nodes.size + 1}`
    const mac = `02:00:00:00:00:${number.toString(16).padStart(2, '0')}`
    const inside = ['nsenter', `--net=/proc/${holderPid}/ns/net`, '--']
    const address = `${this.#subnet}.${number}`
    const peer = ['peer', 'name', this.#interface, 'address', mac, 'netns', String(holderPid)]
    await run(['ip', 'link', 'add', port, 'type', 'veth', ...peer])
    await run(['ip', 'link', 'set', port, 'master', BRIDGE, 'up'])
    await run([...inside, 'ip', 'link', 'set', 'lo', 'up'])
    await run([...inside, 'ip', 'address', 'add', `${address}/24`, 'dev', this.#interface])
    await run([...inside, 'ip', 'link', 'set', this.#interface, 'up'])
    const place = { name, address, directory: path.join(this.#work.data, name), logs: this.#work.logs }
    const host = new Host({ ...place, enter: inside }, this.#account)
    await host.prepare()
    this.#nodes.set(name, { host, holderPid, mac })
    return host
  }

  /**
   * Loses packets in silence from `from` to `to`, and back unless `forward`. Everything is lost: requests, answers, ARP,
   * multicast. Cuts add up until `heal`.
   */
  async cut(from: Host, to: Host, direction: Direction = 'both'): Promise<void> {
    await this.#drop(this.#node(to), `ether saddr ${this.#node(from).mac}`)
    if (direction === 'both') await this.#drop(this.#node(from), `ether saddr ${this.#node(to).mac}`)
  }

  /** Cuts one host off from each of the others. */
  async isolate(host: Host, others: readonly Host[] = this.#others(host)): Promise<void> {
    for (const other of others) await this.cut(host, other)
  }

  /** Pulls the cable: the host loses its carrier and hears nobody, the test included. */
  async unplug(host: Host): Promise<void> {
    await run(['ip', 'link', 'set', this.#port(host), 'down'])
  }

  async plug(host: Host): Promise<void> {
    await run(['ip', 'link', 'set', this.#port(host), 'up'])
  }

  /** Undoes every cut between any hosts. */
  async heal(): Promise<void> {
    for (const { host } of this.#nodes.values()) {
      await run([...host.enter, 'nft', 'flush', 'ruleset'])
    }
  }

  /** Runs a command inside a host with the test's rights (`ip address add ...`) and resolves to its output. */
  inside(host: Host, words: readonly string[]): Promise<string> {
    return run([...host.enter, ...words])
  }

  /** Drops what matches where it arrives, below IP: the sender sees nothing but silence. */
  async #drop({ host }: Node, match: string): Promise<void> {
    const chain = `{ type filter hook ingress device "${this.#interface}" priority 0; }`
    const script = [
      'add table netdev pgherd',
      `add chain netdev pgherd arriving ${chain}`,
      `add rule netdev pgherd arriving ${match} drop`,
    ]
    await run([...host.enter, 'nft', script.join('\n')])
  }

  #node(host: Host): Node {
    const node = this.#nodes.get(host.name)
    if (node === undefined) throw new Error(`${host.name} is not on this network`)
    return node
  }

  #port(host: Host): string {
    return `v${[...this.#nodes.keys()].indexOf(this.#node(host).host.name) + 1}`
  }

  #others(host: Host): readonly Host[] {
    return [...this.#nodes.values()].map(node => node.host).filter(other => other !== host)
  }

  async #remove(): Promise<void> {
    for (const { host, holderPid } of this.#nodes.values()) {
      await host.remove()
      process.kill(holderPid, 'SIGKILL')
    }
    await run(['ip', 'link', 'delete', BRIDGE])
  }
}

/** Starts a process that does nothing but keep a new network namespace; resolves to its pid once the namespace is there. */
async function holdNamespace(): Promise<number> {
  const words = ['--net', '--', 'setpriv', '--pdeathsig', 'KILL', 'sleep', 'infinity']
  const holder = spawn('unshare', words, { stdio: 'ignore', detached: true })
  holder.unref()
  const pid = holder.pid
  if (pid === undefined) throw new Error('unshare cannot be started')
  const own = await readlink('/proc/self/ns/net')
  await waitFor('a network namespace', { withinMs: COMMAND_WITHIN_MS, everyMs: 2 }, async () => {
    return (await readlink(`/proc/${pid}/ns/net`)) !== own
  })
  return pid
}

async function run(words: readonly string[]): Promise<string> {
  const [program = '', ...args] = words
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
  const result = await runChild(program, args, { by: Deadline.in(realClock, COMMAND_WITHIN_MS), env })
  if (result.code === 0) return result.stdout
  throw new Error(`${words.join(' ')}: ${result.timedOut ? 'too slow' : result.stderr.trim()}`)
}
