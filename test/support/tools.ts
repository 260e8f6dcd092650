// The directory of server tools that tests give to members: the real ones, with an initdb that does its work once a run.

import { chmod, chown, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { serverAccount } from '../../src/demo/account.ts'
import { serverBinDir } from '../../src/demo/member.ts'

/**
 * A `bin_dir` whose initdb copies what it made before, in the run's shared directory; the real one outside of a run.
 * Clusters made with it have the same system identifier: a test about that identifier takes `serverBinDir()`.
 */
export async function quickBinDir(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const real = await serverBinDir()
  const shared = env['PGHERD_SHARED']
  if (shared === undefined) return real
  const tools = path.join(shared, 'tools')
  const names = await readdir(tools).catch(() => [])
  if (names.length === 0) await makeTools(real, shared, tools)
  return tools
}

async function makeTools(real: string, shared: string, tools: string): Promise<void> {
  const templates = path.join(shared, 'templates')
  const account = await serverAccount(process.env)
  await mkdir(templates, { recursive: true })
  await chown(templates, account.uid, account.gid)
  // Made aside and moved into place, because several files may be at it at the same time.
  const aside = `${tools}.${process.pid}`
  await mkdir(aside)
  for (const name of await readdir(real)) {
    if (name !== 'initdb') await symlink(path.join(real, name), path.join(aside, name))
  }
  const script = await readFile(path.join(import.meta.dirname, 'initdb-once.sh'), 'utf8')
  const filled = script.replace('real=REAL', `real=${real}/initdb`).replace('TEMPLATES', templates)
  await writeFile(path.join(aside, 'initdb'), filled)
  await chmod(path.join(aside, 'initdb'), 0o755)
  await rename(aside, tools).catch(() => rm(aside, { recursive: true }))
}
