// One program of the local cluster: started as the unprivileged account in a session of its own, with a log file (never a
// pipe: a reader that stops must not stop the program), killed by its pid.

import { type ChildProcess, spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { type Account, asAccount } from './account.ts'
import { signal, untilStopped } from './proctable.ts'
import { waitFor } from './wait.ts'

/** What to run. */
export interface ServerSpec {
  readonly name: string
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Keeps our own user and rights: only for what changes the network itself. Default false. */
  readonly privileged?: boolean
}

/** Where it runs; given by its host. */
export interface ServerPlace {
  readonly account: Account
  readonly enter: readonly string[]
  readonly directory: string
  readonly logFile: string
  readonly env: Readonly<Record<string, string>>
}

/** How a program ended. */
export interface Exit {
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
}

const GONE_WITHIN_MS = 10_000

/** A program that can be started, ended and started again; its log is appended to. */
export class Server {
  readonly name: string
  readonly logFile: string
  readonly #spec: ServerSpec
  readonly #place: ServerPlace
  #child: ChildProcess | undefined
  #exit: Promise<Exit> = Promise.resolve({ code: undefined, signal: undefined })

  constructor(spec: ServerSpec, place: ServerPlace) {
    this.name = spec.name
    this.logFile = place.logFile
    this.#spec = spec
    this.#place = place
  }

  /** The program's pid. Throws when it does not run. */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} does not run`)
    return pid
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  /** Settles when the current (or the last) run has ended. */
  get exit(): Promise<Exit> {
    return this.#exit
  }

  /** Starts the program; resolves when it has been executed, not when it is ready. `extra` words go to its end. */
  async start(extra: readonly string[] = []): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already (pid ${this.#child.pid})`)
    const [program = '', ...args] = [
      ...this.#place.enter,
      ...(this.#spec.privileged === true ? [] : asAccount(this.#place.account)),
      ...this.#spec.command,
      ...extra,
    ]
    const log = await open(this.logFile, 'a')
    try {
      const child = spawn(program, args, {
        cwd: this.#place.directory,
        env: { ...baseEnvironment(), ...this.#place.env, ...this.#spec.env },
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      })
      this.#child = child
      this.#exit = exitOf(child)
      // Whoever asks for `exit` handles a failed start; nobody has to.
      this.#exit
        .catch(() => {})
        .finally(() => {
          if (this.#child === child) this.#child = undefined
        })
      await Promise.race([new Promise(resolve => child.once('spawn', resolve)), this.#exit])
    } finally {
      await log.close()
    }
  }

  /** SIGKILL to this one process; resolves when it is gone. Nothing happens when it does not run. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL', GONE_WITHIN_MS)
  }

  /** SIGTERM, as a service manager stops it. Rejects when it is still there after `withinMs`. */
  async stop(withinMs = GONE_WITHIN_MS): Promise<Exit> {
    return this.#end('SIGTERM', withinMs)
  }

  /** SIGSTOP; resolves when the kernel has stopped it. */
  async freeze(): Promise<void> {
    const { pid } = this
    signal(pid, 'SIGSTOP')
    await untilStopped(pid)
  }

  thaw(): void {
    signal(this.pid, 'SIGCONT')
  }

  async #end(name: NodeJS.Signals, withinMs: number): Promise<Exit> {
    if (this.#child === undefined) return this.#exit
    signal(this.pid, name)
    return waitFor(`${this.name} to end after ${name}`, { withinMs, everyMs: 10 }, async () => {
      if (this.#child === undefined) return this.#exit
      return undefined
    })
  }
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, name) => resolve({ code: code ?? undefined, signal: name ?? undefined }))
  })
}

/** Only what a program needs: nothing of the developer's own settings (PGHOST, PATRONI_..., LC_...) may leak in. */
function baseEnvironment(): NodeJS.ProcessEnv {
  const marks = ['PGHERD_RUN', 'PGHERD_WORK', 'TZ'].flatMap(name => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`,
    LANG: 'C.UTF-8',
    UV_THREADPOOL_SIZE: '16',
    // What a test run finds its processes by, and the time zone of the log's stamps.
    ...Object.fromEntries(marks),
  }
}
