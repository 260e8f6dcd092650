// The second hunt, for accidents that no world showed: the decision tables and the other unit tests of the changed part.

import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTANT_VARIABLE } from './change.ts'
import type { Mutant } from './named.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const REGISTER = fileURLToPath(new URL('./register.ts', import.meta.url))
/** A change that makes a test wait for ever is found, too: by this. */
const LIMIT_MS = 120_000

/** `test/unit/agent` for a file of the agent, `test/unit/proxy` for one of the proxy. */
async function testsOf(mutant: Mutant): Promise<readonly string[]> {
  const parts = new Set(mutant.changes.map(({ file }) => file.split('/')[1] ?? ''))
  const lists = [...parts].map(async part => {
    const directory = path.join(ROOT, 'test/unit', part)
    const names = await readdir(directory, { recursive: true })
    return names.filter(name => name.endsWith('.test.ts')).map(name => path.join(directory, name))
  })
  return (await Promise.all(lists)).flat().sort()
}

/** The name of the first test that fails on the changed sources; undefined when all pass. */
export async function huntInTables(mutant: Mutant): Promise<string | undefined> {
  const args = ['--import', REGISTER, '--test', '--test-reporter=tap', '--test-concurrency=1']
  const child = spawn(process.execPath, [...args, ...(await testsOf(mutant))], {
    cwd: ROOT,
    env: { ...process.env, [MUTANT_VARIABLE]: JSON.stringify(mutant.changes) },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: LIMIT_MS,
  })
  let found: string | undefined
  let rest = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    found ??= lines.map(failedIn).find(name => name !== undefined)
    if (found !== undefined) child.kill()
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return found ?? (code === 0 ? undefined : 'a test that does not end')
}

/** What the runner's TAP says of one failed test; the innermost is told first. */
function failedIn(line: string): string | undefined {
  const name = /^\s*not ok \d+ - (.+)$/.exec(line)?.[1]
  return name?.replace(/ # .*$/, '').replaceAll('\\#', '#')
}
