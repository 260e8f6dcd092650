// A small disk for one host, so that a full one can be had. Needs the mount namespace that the runner gives to a test file.

import { chmod, chown, mkdir, open, rm } from 'node:fs/promises'
import path from 'node:path'
import type { Host } from '../../src/demo/host.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import type { Workplace } from './workplace.ts'

const BLOCK_BYTES = 1024 * 1024

/** A tmpfs of a fixed size that belongs to the host's account. */
export class SmallDisk {
  readonly path: string

  private constructor(directory: string) {
    this.path = directory
  }

  /** Mounts it below the host's directory; it goes with the host. */
  static async mount(work: Pick<Workplace, 'defer'>, host: Host, megabytes: number): Promise<SmallDisk> {
    if (process.env['PGHERD_ISOLATED'] !== '1') {
      throw new Error('this test mounts a disk and needs a namespace of its own; run it as: npm test -- FILE')
    }
    const directory = host.path('disk')
    await mkdir(directory)
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', directory])
    await chown(directory, host.account.uid, host.account.gid)
    work.defer(async () => {
      await host.kill()
      await run('umount', [directory])
    })
    return new SmallDisk(directory)
  }

  /** Fills it to the last byte, as a log or somebody's copy does. */
  async fill(): Promise<void> {
    const ballast = await open(this.#ballast, 'a')
    try {
      for (let bytes = BLOCK_BYTES; bytes >= 1; ) {
        const written = await ballast
          .write(Buffer.alloc(bytes))
          .then(({ bytesWritten }) => bytesWritten, full)
        if (written < bytes) bytes = Math.floor(bytes / 16)
      }
    } finally {
      await ballast.close()
    }
    await chmod(this.#ballast, 0o600)
  }

  /** Gives back what `fill` took. */
  async free(): Promise<void> {
    await rm(this.#ballast, { force: true })
  }

  get #ballast(): string {
    return path.join(this.path, 'ballast')
  }
}

function full(error: NodeJS.ErrnoException): number {
  if (error.code === 'ENOSPC') return 0
  throw error
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const result = await runChild(program, args, { by: Deadline.in(realClock, 5_000) })
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr.trim()}`)
}
