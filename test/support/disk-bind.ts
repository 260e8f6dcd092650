// A disk for one host that can hang and be lost: what lies on it goes through a program (bindfs), which is stopped or killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { chown, mkdir, readFile } from 'node:fs/promises'
import type { Host } from '../../src/demo/host.ts'
import { signal } from '../../src/demo/proctable.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

const READY_WITHIN_MS = 10_000

/** Needs the mount namespace that the runner gives to a test file. */
export class BindDisk {
  readonly path: string
  readonly #host: Host
  readonly #below: string
  #process: ChildProcess | undefined

  private constructor(host: Host) {
    this.#host = host
    this.path = host.path('disk')
    this.#below = host.path('disk-below')
  }

  /** Mounts it below the host's directory; `remove` before the host goes. */
  static async mount(host: Host): Promise<BindDisk> {
    if (process.env['PGHERD_ISOLATED'] !== '1') {
      throw new Error('this test mounts a disk and needs a namespace of its own; run it as: npm test -- FILE')
    }
    const disk = new BindDisk(host)
    // The point itself stays root's: nobody fills the disk beneath when the mount is lost.
    await mkdir(disk.path)
    await mkdir(disk.#below)
    await chown(disk.#below, host.account.uid, host.account.gid)
    await disk.mountAgain()
    return disk
  }

  /** From now on no call is answered; whoever waits for one is stuck. */
  hang(): void {
    signal(this.#pid, 'SIGSTOP')
  }

  /** All calls that wait are answered, as if they had only been slow. */
  answer(): void {
    signal(this.#pid, 'SIGCONT')
  }

  /** The device is gone: each call fails. */
  async lose(): Promise<void> {
    const child = this.#process
    if (child === undefined) return
    this.#process = undefined
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  /** The mount itself is gone, too: the empty mount point is seen. */
  async unmount(): Promise<void> {
    await this.lose()
    await runChild('umount', ['--lazy', this.path], { by: Deadline.in(realClock, READY_WITHIN_MS) })
  }

  async mountAgain(): Promise<void> {
    const child = spawn('bindfs', ['-f', this.#below, this.path], { stdio: ['ignore', 'ignore', 'inherit'] })
    this.#process = child
    const failed = new Promise<never>((_resolve, reject) => child.once('error', reject))
    const ready = waitFor(`a mount on ${this.path}`, { withinMs: READY_WITHIN_MS }, async () =>
      (await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${this.path} `),
    )
    await Promise.race([ready, failed])
  }

  /** Kills what works on it, and takes it away. */
  async remove(): Promise<void> {
    await this.lose()
    await this.#host.kill()
    await this.unmount()
  }

  get #pid(): number {
    const pid = this.#process?.pid
    if (pid === undefined) throw new Error('the disk is lost')
    return pid
  }
}
