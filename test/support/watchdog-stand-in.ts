// A watchdog device for tests (watchdog_device.py) and those who hold one.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { waitFor } from '../../src/demo/wait.ts'

const SCRIPT = path.join(import.meta.dirname, 'watchdog_device.py')
/** Debian's own: another one in PATH may lack what its packages bring. */
export const PYTHON = '/usr/bin/python3'
const READY_WITHIN_MS = 20_000
const SAID_WITHIN_MS = 20_000

/** One thing that happened to the device; `ms` is on the machine's monotonic clock. */
export interface Said {
  readonly ms: number
  readonly what: 'ready' | 'opened' | 'timeout' | 'fed' | 'disarmed' | 'left-counting' | 'fired' | 'ordered'
  readonly seconds?: number
  /** Of `disarmed`: which of the watched processes lived when the farewell came. */
  readonly alive?: readonly number[]
}

/** A file that behaves like /dev/watchdog, in a file system of its own; needs the runner's mount namespace. */
export class StandIn {
  /** The device. */
  readonly device: string
  readonly said: Said[] = []
  /** Called at each thing that happens. */
  onSaid: (said: Said) => void = () => {}
  readonly #child: ChildProcess

  private constructor(device: string, child: ChildProcess) {
    this.device = device
    this.#child = child
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', line => {
      const said = JSON.parse(line) as Said
      this.said.push(said)
      this.onSaid(said)
    })
  }

  /** Mounts it on `directory` and waits until it answers. */
  static async mount(directory: string): Promise<StandIn> {
    await mkdir(directory, { recursive: true })
    const words = [SCRIPT, directory, 'watchdog']
    const child = spawn(PYTHON, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    const standIn = new StandIn(path.join(directory, 'watchdog'), child)
    await standIn.says('ready', READY_WITHIN_MS)
    return standIn
  }

  /** How often it has happened. */
  count(what: Said['what']): number {
    return this.said.filter(said => said.what === what).length
  }

  /** What happened last. */
  get last(): Said | undefined {
    return this.said.at(-1)
  }

  /** Forgets what happened so far. */
  forget(): void {
    this.said.length = 0
  }

  /** Waits until it has happened since the last `forget`. */
  says(what: Said['what'], withinMs = SAID_WITHIN_MS): Promise<Said> {
    return waitFor(`the watchdog to say ${what}`, { withinMs, everyMs: 10 }, note => {
      note(this.said.map(said => said.what).join(' '))
      return this.said.find(said => said.what === what)
    })
  }

  /** `hang`, `answer`, `nowayout`, `fixed N`, `watch PID...`. */
  async order(order: string): Promise<void> {
    const before = this.count('ordered')
    this.#child.stdin?.write(`${order}\n`)
    await waitFor(
      'the order to arrive',
      { withinMs: SAID_WITHIN_MS, everyMs: 5 },
      () => this.count('ordered') > before,
    )
  }

  /** Ends it; the mount goes with it. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise(resolve => this.#child.once('exit', resolve))
    this.#child.stdin?.end()
    await gone
  }
}
