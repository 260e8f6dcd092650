// Where the benchmark runs: in a network and mount namespace of its own, on the packed program, with data on a tmpfs.

import { chownSync, mkdirSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { serverAccount } from '../scripts/lib/account.js'
import { makeSharedDirectory, packArtefact } from '../scripts/lib/artefact.js'
import { runInherited } from '../scripts/lib/run.js'
import { checkIsolation, isolation } from '../scripts/lib/tests/isolate.js'

/** Directories and the program under test, inside the namespaces. */
export interface Place {
  readonly data: string
  readonly logs: string
  readonly scratch: string
  readonly program: readonly string[]
}

/** The place that the one who started us prepared; undefined when we are still outside. */
export async function ownPlace(env: NodeJS.ProcessEnv = process.env): Promise<Place | undefined> {
  const { PGHERD_ISOLATED: isolated, PGHERD_WORK: work, PGHERD_PROGRAM: packed } = env
  if (isolated !== '1' || work === undefined) return undefined
  const place = {
    data: path.join(work, 'data', 'bench'),
    logs: path.join(work, 'logs', 'bench'),
    scratch: path.join(work, 'data', 'scratch'),
  }
  await Promise.all(Object.values(place).map(directory => mkdir(directory, { recursive: true })))
  const program =
    packed !== undefined
      ? (JSON.parse(packed) as string[])
      : [process.execPath, path.resolve(import.meta.dirname, '../src/main.ts')]
  return { ...place, program }
}

/** Prepares the place, starts `script` again inside it, and removes it afterwards. Resolves to the exit code. */
export async function runInOwnPlace(script: string, args: readonly string[]): Promise<number> {
  const account = await serverAccount()
  await checkIsolation()
  const directory = makeSharedDirectory('pgherd-bench-')
  try {
    const work = path.join(directory, 'work')
    for (const each of [work, path.join(work, 'data'), path.join(work, 'logs')]) {
      mkdirSync(each)
      chownSync(each, account.uid, account.gid)
    }
    const prefix = path.join(directory, 'prefix')
    mkdirSync(prefix)
    const artefact = await packArtefact(prefix)
    const [program = '', ...words] = [...isolation(work, account), process.execPath, script, ...args]
    const env = {
      ...process.env,
      PGHERD_ISOLATED: '1',
      PGHERD_WORK: work,
      PGHERD_PROGRAM: JSON.stringify(artefact.program),
      PGHERD_ACCOUNT: `${account.uid}:${account.gid}`,
    }
    return await runInherited(program, words, { env })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
