// A machine of the local cluster: a name, an address, a directory, and the words that bring a program into its network.
// On loopback all hosts share one network and differ by their 127.0.0.x; tests can give each its own network namespace.

import { chown, mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Account } from './account.ts'
import { type Belonging, freezeAll, killAll, processesOf, thawAll } from './proctable.ts'
import { Server, type ServerSpec } from './server.ts'

/** Where a host lies and how to get there. */
export interface Place {
  readonly name: string
  readonly address: string
  /** Everything the host's programs keep; short, because sockets lie in it (107 bytes at most). */
  readonly directory: string
  readonly logs: string
  /** Command words that run a program in the host's network; empty for our own. */
  readonly enter: readonly string[]
}

/** A host with its programs. The verbs reach every process of it, also those that its servers started by themselves. */
export class Host {
  readonly name: string
  readonly address: string
  readonly directory: string
  readonly account: Account
  readonly enter: readonly string[]
  /** The folder of all logs, which the host's programs may write to. */
  readonly logs: string
  readonly #belonging: Belonging

  constructor(place: Place, account: Account) {
    this.name = place.name
    this.address = place.address
    this.directory = place.directory
    this.enter = place.enter
    this.account = account
    this.logs = place.logs
    this.#belonging = { directory: place.directory, mark: `PGHERD_HOST=${place.directory}` }
  }

  /** Makes the host's directories, owned by its account. */
  async prepare(): Promise<void> {
    for (const directory of [this.directory, path.join(this.directory, 'run'), this.logs]) {
      await mkdir(directory, { recursive: true })
      await chown(directory, this.account.uid, this.account.gid)
    }
  }

  /** A program of this host, not started yet. Its log is `<host>-<name>.log`, or `<name>.log` when they are the same. */
  server(spec: ServerSpec): Server {
    const file = spec.name === this.name ? `${spec.name}.log` : `${this.name}-${spec.name}.log`
    return new Server(spec, {
      account: this.account,
      enter: this.enter,
      directory: this.directory,
      logFile: path.join(this.logs, file),
      env: { PGHERD_HOST: this.directory, HOME: this.directory, TMPDIR: this.path('run') },
    })
  }

  /** Absolute path of a file or folder of this host. */
  path(...parts: readonly string[]): string {
    return path.join(this.directory, ...parts)
  }

  /** Pids of everything that runs on this host. */
  processes(): Promise<readonly number[]> {
    return processesOf(this.#belonging)
  }

  /** Power off: SIGKILL to everything; resolves when nothing is left. As after a reboot, `run` is empty. */
  async kill(): Promise<void> {
    await killAll(this.#belonging)
    const names = await readdir(this.path('run')).catch(() => [])
    for (const name of names) await rm(this.path('run', name), { recursive: true, force: true })
  }

  /** Every process stops where it is, as when a virtual machine is paused. */
  async freeze(): Promise<void> {
    await freezeAll(this.#belonging)
  }

  thaw(): Promise<void> {
    return thawAll(this.#belonging)
  }

  /** Kills what runs and forgets all data. Logs stay. */
  async remove(): Promise<void> {
    await this.kill()
    await rm(this.directory, { recursive: true, force: true })
  }
}
