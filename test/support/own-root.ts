// Hosts with the paths of an old deployment (/pgsql/data, /usr/pgsql-12/bin, a locale), each in a mount namespace of its
// own. The machine's file system is untouched.

import { spawn } from 'node:child_process'
import { chown, mkdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Host } from '../../src/demo/host.ts'
import { serverBinDir } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import type { Workplace } from './workplace.ts'

const SCRIPT = path.join(import.meta.dirname, 'own-root.sh')
const READY_WITHIN_MS = 20_000

/** The same host, whose programs now see `/pgsql` (a directory of the host), `/usr/pgsql-12/bin` and this locale. */
export async function withOwnRoot(host: Host, work: Workplace, locale: string): Promise<Host> {
  const root = path.join(work.data, `${host.name}-root`)
  const pgsql = host.path('pgsql')
  await mkdir(root, { recursive: true })
  await mkdir(pgsql)
  await chown(pgsql, host.account.uid, host.account.gid)
  const inside = ['setpriv', '--pdeathsig', 'KILL', 'sleep', 'infinity']
  const words = ['--mount', '--', 'sh', SCRIPT, root, pgsql, await serverBinDir(), locale, ...inside]
  const holder = spawn('unshare', words, { stdio: ['ignore', 'ignore', 'inherit'], detached: true })
  holder.unref()
  const pid = holder.pid
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
