// What clients connect to: our proxy, or the HAProxy that it is compared with. Same ports, same verbs.

import { chown, writeFile } from 'node:fs/promises'
import { stringify } from 'yaml'
import { type HaproxyTimings, haproxyText } from './haproxy.ts'
import type { Host } from './host.ts'
import { freePort } from './loopback.ts'
import type { Member } from './member.ts'
import { merge, ROLES, type Settings } from './member-config.ts'
import type { Server } from './server.ts'
import type { SqlTarget } from './sql.ts'
import { waitFor } from './wait.ts'

/** A router on its host; `server` is its process with the fault verbs. */
export class Router {
  readonly host: Host
  readonly server: Server
  readonly ports: RouterPorts
  readonly configFile: string

  constructor(host: Host, server: Server, ports: RouterPorts, configFile: string) {
    this.host = host
    this.server = server
    this.ports = ports
    this.configFile = configFile
  }

  get name(): string {
    return this.host.name
  }

  /** How clients reach the leader. */
  get write(): SqlTarget {
    return this.#target(this.ports.write)
  }

  /** How clients reach the replicas. */
  get read(): SqlTarget {
    return this.#target(this.ports.read)
  }

  /** Waits until the status port answers. */
  async ready(withinMs = 45_000): Promise<void> {
    await waitFor(`${this.name} to answer on its status port`, { withinMs }, async note => {
      const response = await fetch(`http://${this.host.address}:${this.ports.admin}/`, {
        signal: AbortSignal.timeout(1_000),
      })
      note(`code ${response.status}`)
      await response.text()
      return response.ok
    })
  }

  #target(port: number): SqlTarget {
    const { username, password } = ROLES.superuser
    return { host: this.host.address, port, user: username, password }
  }
}

/** The three ports, 5000, 6000 and 7000 unless somebody else has them. */
export interface RouterPorts {
  readonly write: number
  readonly read: number
  readonly admin: number
}

/** Our proxy, finding the cluster in etcd; `overrides` are laid over its file. Not started yet. */
export async function proxyOn(
  host: Host,
  cluster: { readonly scope: string; readonly etcd: readonly string[]; readonly program: readonly string[] },
  overrides: Settings = {},
): Promise<Router> {
  const ports = await routerPorts(host)
  const file = {
    scope: cluster.scope,
    namespace: '/service/',
    etcd: { hosts: [...cluster.etcd] },
    listeners: {
      write: { bind: `${host.address}:${ports.write}`, pool: 'leader' },
      read: { bind: `${host.address}:${ports.read}`, pool: 'replica', fallback: 'leader' },
    },
    admin: { bind: `${host.address}:${ports.admin}` },
  }
  const configFile = await writeConfig(host, 'proxy.yml', stringify(merge(file, overrides)))
  const server = host.server({ name: 'proxy', command: [...cluster.program, 'proxy', configFile] })
  return new Router(host, server, ports, configFile)
}

/** HAProxy in front of these members, configured as people do it for Patroni. Not started yet. */
export async function haproxyOn(
  host: Host,
  members: readonly Member[],
  timings: HaproxyTimings,
): Promise<Router> {
  const ports = await routerPorts(host)
  const servers = members.map(({ config }) => config)
  const text = haproxyText(host.address, ports, servers, timings)
  const configFile = await writeConfig(host, 'haproxy.cfg', text)
  const server = host.server({ name: 'haproxy', command: ['haproxy', '-db', '-f', configFile] })
  return new Router(host, server, ports, configFile)
}

async function routerPorts(host: Host): Promise<RouterPorts> {
  return {
    write: await freePort(host.address, 5000),
    read: await freePort(host.address, 6000),
    admin: await freePort(host.address, 7000),
  }
}

async function writeConfig(host: Host, name: string, text: string): Promise<string> {
  const file = host.path(name)
  await writeFile(file, text, { mode: 0o600 })
  await chown(file, host.account.uid, host.account.gid)
  return file
}
