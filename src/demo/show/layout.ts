// Where the demo's hosts live: loopback and nothing else. The proxies have the addresses that people type; a demo beside
// another one has addresses of its own, because a killed host's ports are free for everybody until it comes back.

import path from 'node:path'
import { serverAccount } from '../account.ts'
import { Host } from '../host.ts'
import type { Layout } from '../loopback.ts'

const PROXY_ADDRESSES = 10

/** `proxy1` of the first demo is 127.0.0.1; other hosts are 127.0.SLOT.11 and so on. */
export class DemoLayout implements Layout {
  readonly #directory: string
  readonly #slot: number
  #made = 0

  /** `slot` counts from 1; no other demo that runs has the same. */
  constructor(directory: string, slot: number) {
    this.#directory = directory
    this.#slot = slot
  }

  async host(name: string): Promise<Host> {
    const place = {
      name,
      address: this.#address(name),
      directory: path.join(this.#directory, name),
      logs: path.join(this.#directory, 'logs'),
      enter: [],
    }
    const host = new Host(place, await serverAccount())
    await host.prepare()
    return host
  }

  #address(name: string): string {
    const proxy = /^proxy(\d)$/.exec(name)?.[1]
    if (proxy !== undefined) return `127.0.${this.#slot === 1 ? 0 : this.#slot}.${proxy}`
    this.#made += 1
    return `127.0.${this.#slot}.${PROXY_ADDRESSES + this.#made}`
  }
}
