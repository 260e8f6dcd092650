// Hosts that look from inside like a container of our images: their paths, their root directory, their own network.

import { spawn } from 'node:child_process'
import { chmod, mkdir, stat, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Host } from '../../../src/demo/host.ts'
import { waitFor } from '../../../src/demo/wait.ts'
import type { Workplace } from '../../support/workplace.ts'

const SCRIPT = path.join(import.meta.dirname, 'root.sh')
const READY_WITHIN_MS = 20_000

/** The same host, whose programs now see the image's paths. `files` is a copy of docker/ with a file `hosts`. */
export async function asContainer(host: Host, work: Workplace, files: string): Promise<Host> {
  const root = path.join(work.data, `${host.name}-root`)
  const prefix = await imagePrefix(work)
  await mkdir(root, { recursive: true })
  const { uid, gid } = host.account
  const inside = ['setpriv', '--pdeathsig', 'KILL', 'sleep', 'infinity']
  const words = ['--mount', '--', 'sh', SCRIPT, root, prefix, files, String(uid), String(gid), ...inside]
  const holder = spawn('unshare', words, { stdio: ['ignore', 'ignore', 'inherit'], detached: true })
  holder.unref()
  const pid = holder.pid
  if (pid === undefined) throw new Error('unshare cannot be started')
  work.defer(() => process.kill(pid, 'SIGKILL'))
  await waitFor(`the root directory of ${host.name}`, { withinMs: READY_WITHIN_MS }, async () => {
    await stat(`/proc/${pid}/root/ready`)
    return true
  })
  const { name, address, directory, logs, account } = host
  const namespace = [`--mount=/proc/${pid}/ns/mnt`, `--root=/proc/${pid}/root`]
  const enter = [...host.enter, 'nsenter', ...namespace, '--', 'env', '-C', directory]
  return new Host({ name, address, directory, logs, enter }, account)
}

/**
 * What lies at /opt/pgherd: the packed program when the runner made one, otherwise a directory of the same shape that
 * leads to the sources. `bin` holds the Node that the image's base would bring.
 */
async function imagePrefix({ program, data }: Workplace): Promise<string> {
  const [node = '', main = ''] = program
  if (main.endsWith('/dist/main.js')) return path.resolve(main, '../..')
  const prefix = path.join(data, 'opt')
  await mkdir(path.join(prefix, 'dist'), { recursive: true })
  await mkdir(path.join(prefix, 'bin'), { recursive: true })
  await chmod(prefix, 0o755)
  await writeFile(path.join(prefix, 'dist/main.js'), `await import(${JSON.stringify(main)})\n`)
  await writeFile(path.join(prefix, 'package.json'), '{ "type": "module" }\n')
  await symlink(node, path.join(prefix, 'bin/node')).catch(() => {})
  return prefix
}
