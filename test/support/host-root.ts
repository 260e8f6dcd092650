// A host whose programs see a root directory of their own, in a mount namespace of their own. The machine's is untouched.

import { spawn } from 'node:child_process'
import { mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Host } from '../../src/demo/host.ts'
import { waitFor } from '../../src/demo/wait.ts'
import type { Workplace } from './workplace.ts'

const READY_WITHIN_MS = 90_000

/**
 * The same host in the root directory that `script ROOT WORDS... PROGRAM ARGS...` makes: it mounts what is wanted below
 * ROOT, leaves a file `ready` in it and becomes the program there.
 */
export async function withRoot(
  host: Host,
  work: Workplace,
  script: string,
  words: readonly string[],
): Promise<Host> {
  const root = path.join(work.data, `${host.name}-root`)
  await mkdir(root, { recursive: true })
  const inside = ['setpriv', '--pdeathsig', 'KILL', 'sleep', 'infinity']
  const command = ['--mount', '--', 'sh', script, root, ...words, ...inside]
  const holder = spawn('unshare', command, { stdio: ['ignore', 'ignore', 'inherit'], detached: true })
  holder.unref()
  const { pid } = holder
  if (pid === undefined) throw new Error('unshare cannot be started')
  work.defer(() => process.kill(pid, 'SIGKILL'))
  await waitFor(`the root directory of ${host.name}`, { withinMs: READY_WITHIN_MS }, async () => {
    // Not `access`: that ignores our rights in a user namespace, and the link may only be followed with them.
    await stat(`/proc/${pid}/root/ready`)
    return true
  })
  const { name, address, directory, logs, account } = host
  const namespace = [`--mount=/proc/${pid}/ns/mnt`, `--root=/proc/${pid}/root`]
  const enter = [...host.enter, 'nsenter', ...namespace, '--', 'env', '-C', directory]
  return new Host({ name, address, directory, logs, enter }, account)
}
