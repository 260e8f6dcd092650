// Hosts that look from inside like a container of our images: their paths, their root directory, their own network.

import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Host } from '../../../src/demo/host.ts'
import { withRoot } from '../../support/host-root.ts'
import type { Workplace } from '../../support/workplace.ts'

const SCRIPT = path.join(import.meta.dirname, 'root.sh')

/** The same host, whose programs now see the image's paths. `files` is a copy of docker/ with a file `hosts`. */
export async function asContainer(host: Host, work: Workplace, files: string): Promise<Host> {
  const { uid, gid } = host.account
  return withRoot(host, work, SCRIPT, [await imagePrefix(work), files, String(uid), String(gid)])
}

/**
 * What lies at /opt/pgherd: the packed program when the runner made one, otherwise a directory of the same shape that
 * leads to the sources. `bin` holds the Node that the image's base would bring.
 */
async function imagePrefix({ program, data }: Workplace): Promise<string> {
  const [node = ''] = program
  const main = program.at(-1) ?? ''
  if (main.endsWith('/dist/main.js')) return path.resolve(main, '../..')
  const prefix = path.join(data, 'opt')
  await mkdir(path.join(prefix, 'dist'), { recursive: true })
  await mkdir(path.join(prefix, 'bin'), { recursive: true })
  await chmod(prefix, 0o755)
  const lines = ['#!/usr/bin/env node', `await import(${JSON.stringify(main)})`, '']
  await writeFile(path.join(prefix, 'dist/main.js'), lines.join('\n'), { mode: 0o755 })
  await writeFile(path.join(prefix, 'package.json'), '{ "type": "module" }\n')
  await symlink(node, path.join(prefix, 'bin/node')).catch(() => {})
  return prefix
}
