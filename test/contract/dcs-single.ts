// One etcd member whose command line a test can change: restored from a snapshot as itself, which keeps the cluster id.

import { rm } from 'node:fs/promises'
import path from 'node:path'
import { asAccount, serverAccount } from '../../src/demo/account.ts'
import { Host } from '../../src/demo/host.ts'
import { freePort } from '../../src/demo/loopback.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import type { Workplace } from '../support/workplace.ts'
import type { Pair } from './dcs-certs.ts'
import { by } from './dcs-rig.ts'

/** What an etcd with TLS shows, and what its own tool shows to it. */
export interface SingleTls {
  readonly ca: string
  readonly server: Pair
  readonly admin: Pair
}

export class SingleEtcd {
  readonly server: Server
  readonly address: string
  readonly port: number
  readonly #host: Host
  readonly #dataDir: string
  readonly #identity: readonly string[]
  readonly #ctlFlags: readonly string[]

  private constructor(
    host: Host,
    [port, peerPort]: readonly [number, number],
    identity: readonly string[],
    tls: SingleTls | undefined,
  ) {
    const peer = `http://${host.address}:${peerPort}`
    this.#host = host
    this.address = host.address
    this.port = port
    this.#dataDir = host.path('etcd')
    this.#identity = [
      '--name=solo',
      `--initial-cluster=solo=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      ...identity,
    ]
    const client = `${tls === undefined ? 'http' : 'https'}://${host.address}:${port}`
    const { ca = '', server, admin } = tls ?? {}
    const shown = [`--cert-file=${server?.cert}`, `--key-file=${server?.key}`, `--trusted-ca-file=${ca}`]
    this.#ctlFlags = [`--cacert=${ca}`, `--cert=${admin?.cert}`, `--key=${admin?.key}`]
    if (tls === undefined) this.#ctlFlags = []
    const listen = [
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
    ]
    const secure = tls === undefined ? [] : [...shown, '--client-cert-auth']
    const command = ['etcd', `--data-dir=${this.#dataDir}`, ...listen, ...secure, ...this.#identity]
    this.server = host.server({ name: 'etcd', command })
  }

  static async start(
    work: Workplace,
    net: number,
    more: readonly string[] = [],
    tls?: SingleTls,
  ): Promise<SingleEtcd> {
    const address = `127.0.${net}.11`
    const place = {
      name: 'solo',
      address,
      directory: path.join(work.data, `net${net}`),
      logs: path.join(work.logs, `net${net}`),
      enter: [],
    }
    const host = new Host(place, await serverAccount())
    await host.prepare()
    const ports = [await freePort(address, 2379), await freePort(address, 2380)] as const
    const etcd = new SingleEtcd(host, ports, more, tls)
    work.defer(() => host.remove())
    await etcd.start()
    return etcd
  }

  /** Flags for another etcd that takes itself for this one: same cluster id, same member id. */
  get sameIdentity(): readonly string[] {
    return this.#identity.filter(flag => flag.startsWith('--initial-'))
  }

  get endpoint(): string {
    return `${this.address}:${this.port}`
  }

  async start(): Promise<void> {
    await this.server.start()
    await waitFor('etcd to be healthy', { withinMs: 20_000 }, async () => {
      if (this.#ctlFlags.length > 0) return (await this.ctl('endpoint', 'health')) !== undefined
      const response = await fetch(`http://${this.endpoint}/health`, { signal: AbortSignal.timeout(1_000) })
      return (await response.text()).includes('"true"')
    })
  }

  async restart(): Promise<void> {
    await this.server.kill()
    await this.start()
  }

  ctl(...args: readonly string[]): Promise<string> {
    return this.#run(['etcdctl', `--endpoints=${this.endpoint}`, ...this.#ctlFlags, ...args])
  }

  /** Writes a snapshot and returns its file. */
  async snapshot(): Promise<string> {
    const file = this.#host.path('run', 'snapshot.db')
    await this.#run(['etcdctl', `--endpoints=${this.endpoint}`, 'snapshot', 'save', file])
    return file
  }

  /** Stops, wipes, restores with the same identity, and starts: the cluster id stays, revision and term go back. */
  async restore(file: string): Promise<void> {
    await this.server.kill()
    await rm(this.#dataDir, { recursive: true, force: true })
    await this.#run([
      'etcdctl',
      'snapshot',
      'restore',
      file,
      `--data-dir=${this.#dataDir}`,
      ...this.#identity,
    ])
    await this.start()
  }

  /** Runs as the servers' account, so that the files belong to it. */
  async #run(words: readonly string[]): Promise<string> {
    const [program = '', ...args] = [...asAccount(this.#host.account), ...words]
    const env = { ...process.env, ETCDCTL_API: '3' }
    const result = await runChild(program, args, { by: by(10_000), env })
    if (result.code !== 0) throw new Error(`${words.join(' ')}: ${result.stderr.trim()}`)
    return result.stdout
  }
}
