// Builds the demo's cluster below a directory of its own, says each step, and takes everything away again.

import { access, constants, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runChild } from '../../platform/child.ts'
import { realClock } from '../../platform/clock.ts'
import { Deadline } from '../../platform/deadline.ts'
import { UserError } from '../../platform/errors.ts'
import { asAccount, serverAccount } from '../account.ts'
import { Cluster, type ClusterOptions } from '../cluster.ts'
import type { Member } from '../member.ts'
import { TIMES } from '../member-config.ts'
import type { Router } from '../router.ts'
import { waitFor } from '../wait.ts'
import { DemoLayout } from './layout.ts'
import { clearLeftovers, disown, makeDirectory } from './leftovers.ts'
import type { Terms } from './versus-table.ts'
import { list } from './words.ts'

/** What a user may choose. */
export interface StageOptions {
  /** Command words of our program. */
  readonly program: readonly string[]
  /** Where to make the demo's directory; default TMPDIR. */
  readonly dataDir?: string
  /** Of the leader's lease. */
  readonly ttlSeconds: number
  /** Leaves the directory (logs, configuration files, data) when all is over. */
  readonly keep: boolean
}

/** Takes one sentence for people. */
export type Tell = (says: string) => void

const PROXIES = 2
const ACCESS_WITHIN_MS = 5_000
const BOOTSTRAP_WITHIN_MS = 60_000
const PORTS = { write: 5000, read: 6000, admin: 7000 } as const

/**
 * Each commit waits for one of the standbys, and only who has them all may lead: no acknowledged row is ever lost. With a
 * quorum the most advanced one leads, so that the other need not be rewound before it can confirm.
 */
const SYNCHRONOUS = { synchronous_mode: 'quorum', synchronous_mode_strict: true } as const

function termsOf({ ttlSeconds }: StageOptions): Terms {
  return { ...TIMES, ttl: ttlSeconds, ...SYNCHRONOUS }
}

/** The directory, the layout and the cluster. `remove` must be called whatever happens. */
export class Stage {
  readonly directory: string
  readonly layout: DemoLayout
  readonly options: StageOptions
  readonly cluster: Cluster
  /** The dynamic configuration that its members begin with, as far as a comparison names it. */
  readonly dcs: Terms
  readonly #extra: Cluster[] = []

  private constructor(directory: string, layout: DemoLayout, options: StageOptions, cluster: Cluster) {
    this.directory = directory
    this.layout = layout
    this.options = options
    this.cluster = cluster
    this.dcs = termsOf(options)
  }

  /** Clears what earlier demos left, and prepares a directory and all files; nothing runs yet. */
  static async prepare(options: StageOptions, tell: Tell): Promise<Stage> {
    await requirePrograms(['etcd', 'etcdctl', 'setpriv'], 'etcd-server etcd-client util-linux')
    const base = options.dataDir ?? tmpdir()
    await requireAccess(options.program.at(-1) ?? '', base)
    const { says, freeSlot } = await clearLeftovers(base)
    for (const one of says) tell(one)
    const directory = await makeDirectory(base, freeSlot).catch((error: NodeJS.ErrnoException) => {
      throw new UserError(`cannot make a directory in ${base}: ${error.code}; --data names another place`)
    })
    try {
      const layout = new DemoLayout(directory, freeSlot)
      const dcs = { ...termsOf(options) }
      const parts = { layout, program: options.program, proxies: PROXIES, dcs }
      return new Stage(directory, layout, options, await Cluster.create(parts))
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** Starts etcd, the servers and the proxies; each step is told when it is done. Rejects when `signal` aborts. */
  async start(tell: Tell, signal: AbortSignal): Promise<void> {
    const { etcd } = this.cluster
    for (const says of this.cluster.proxies.flatMap(otherPorts)) tell(says)
    await etcd.start()
    tell(`${names(etcd.members)} keep the store`)
    signal.throwIfAborted()
    await startMembers(this.cluster, tell, signal)
    await this.cluster.startRouters()
    await this.#routed(signal)
    tell(`${names(this.cluster.proxies)} route: writes to the leader, reads to the replicas`)
  }

  /** A second cluster on the same store, removed with the first. Not started. */
  async besides(options: Omit<ClusterOptions, 'layout' | 'program' | 'etcd'>): Promise<Cluster> {
    const { layout, cluster } = this
    const parts = { ...options, layout, program: this.options.program, etcd: cluster.etcd }
    const other = await Cluster.create(parts)
    this.#extra.push(other)
    return other
  }

  /** Kills every process of the demo and removes its directory. May be called at any time, also twice. */
  async remove(): Promise<void> {
    const { keep } = this.options
    const hosts = [this.cluster, ...this.#extra].flatMap(cluster => cluster.hosts)
    await Promise.all(hosts.map(host => (keep ? host.kill() : host.remove())))
    if (keep) await disown(this.directory)
    else await rm(this.directory, { recursive: true, force: true })
  }

  /** The first sessions are not to be held: a demo begins with a cluster that works. */
  async #routed(signal: AbortSignal): Promise<void> {
    for (const proxy of this.cluster.proxies) {
      const { host, ports } = proxy
      await waitFor(`${proxy.name} to find the leader`, { withinMs: 15_000, signal }, async note => {
        const answer = await fetch(`http://${host.address}:${ports.admin}/status`, { signal })
        const { waiting_because: why, reads } = (await answer.json()) as {
          waiting_because: string | null
          reads: readonly string[]
        }
        note(`${why ?? 'it has'}; reads go to ${reads}`)
        return why === null && reads.length === this.cluster.members.length - 1
      })
    }
  }
}

/** Starts the first member until it leads, then the others until they follow. */
export async function startMembers(cluster: Cluster, tell: Tell, signal: AbortSignal): Promise<void> {
  const [first, ...others] = cluster.members
  if (first === undefined) return
  await first.agent.start()
  await unlessEnded([first], ended => cluster.leader({ withinMs: BOOTSTRAP_WITHIN_MS, signal: ended }))
  tell(`${first.name} has made a database and leads`)
  signal.throwIfAborted()
  await Promise.all(others.map(member => member.agent.start()))
  await unlessEnded(others, ended => cluster.complete(BOOTSTRAP_WITHIN_MS, ended))
  signal.throwIfAborted()
  tell(`${names(others)} have copied it and follow`)
}

/** Waits for `work`; rejects, and ends it, when the agent of one of the members ends meanwhile. */
export async function unlessEnded(
  members: readonly Member[],
  work: (ended: AbortSignal) => Promise<unknown>,
): Promise<void> {
  const ended = new AbortController()
  const working = work(ended.signal)
  working.catch(() => {})
  try {
    await Promise.race([working, ...members.map(earlyEnd)])
  } finally {
    ended.abort(new Error('nobody waits for it any more'))
  }
}

/** Never resolves; rejects with the first complaint in its log, or its last line, when the member's agent ends. */
async function earlyEnd({ name, agent }: Member): Promise<never> {
  const { code, signal } = await agent.exit
  const log = await readFile(agent.logFile, 'utf8').catch(() => '')
  const lines = log.trimEnd().split('\n')
  // The first complaint is the cause; what follows are consequences.
  const told = lines.find(line => /\b(CRITICAL|ERROR)\b/.test(line)) ?? lines.at(-1) ?? 'its log is empty'
  throw new UserError(`the agent of ${name} ended (${signal ?? `exit code ${code}`}): ${told}`)
}

/** Servers run as another user when root starts the demo: UserError when that user cannot reach what it needs. */
async function requireAccess(program: string, base: string): Promise<void> {
  const account = await serverAccount()
  const [command = '', ...args] = [...asAccount(account), 'test', '-r', program, '-a', '-x', base]
  const tested = await runChild(command, args, { by: Deadline.in(realClock, ACCESS_WITHIN_MS) })
  if (tested.code === 0) return
  throw new UserError(
    `servers run as the user with id ${account.uid}, who cannot read ${program} or enter ${base}: ` +
      'npm run demo copies the program to a place for all; --data names another directory',
  )
}

/** UserError with the apt command when one of these programs is not in PATH (or where administrators' programs lie). */
export async function requirePrograms(programs: readonly string[], packages: string): Promise<void> {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const program of programs) {
    const found = await Promise.allSettled(
      directories.map(directory => access(path.join(directory, program), constants.X_OK)),
    )
    if (found.some(({ status }) => status === 'fulfilled')) continue
    throw new UserError(`the demo needs ${program}: sudo apt-get install ${packages}`)
  }
}

function otherPorts({ name, host, ports }: Router): readonly string[] {
  const kinds = ['write', 'read', 'admin'] as const
  return kinds
    .filter(kind => ports[kind] !== PORTS[kind])
    .map(
      kind => `port ${PORTS[kind]} of ${host.address} is in use: ${name} listens on ${ports[kind]} instead`,
    )
}

function names(parts: readonly { readonly name: string }[]): string {
  return list(parts.map(part => part.name))
}
