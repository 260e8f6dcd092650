import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { waitFor } from '../../../src/demo/wait.ts'
import { runChild } from '../../../src/platform/child.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'

const CHILD = path.resolve(import.meta.dirname, '../../../src/platform/child.ts')
const within = (ms: number) => Deadline.in(realClock, ms)

/** A process of its own that runs `sleep` by runChild; resolves to both. */
async function parentOfSleep(diesWithUs: boolean) {
  const script = `
    const { runChild } = await import(${JSON.stringify(CHILD)})
    const by = { remainingMs: () => 60_000 }
    await runChild('/bin/sleep', ['60'], { by, diesWithUs: ${diesWithUs}, onStart: pid => console.log(pid) })`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = await new Promise<number>(resolve =>
    parent.stdout.once('data', chunk => resolve(Number(chunk))),
  )
  await waitFor(
    'sleep to run',
    { withinMs: 5_000, everyMs: 5 },
    async () => (await stateOf(pid))?.name === 'sleep',
  )
  return { parent, pid }
}

async function stateOf(pid: number): Promise<{ name: string; state: string } | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  const found = line === undefined ? undefined : /\((.*)\) (\w)/.exec(line)
  return found === undefined || found === null || found[2] === 'Z'
    ? undefined
    : { name: found[1] ?? '', state: found[2] ?? '' }
}

test('a tool that dies with us is gone when we are killed, even if it stood still', async () => {
  const { parent, pid } = await parentOfSleep(true)
  process.kill(pid, 'SIGSTOP')
  parent.kill('SIGKILL')
  await waitFor(
    'the end of sleep',
    { withinMs: 5_000, everyMs: 5 },
    async () => (await stateOf(pid)) === undefined,
  )
})

test('any other program outlives us', async () => {
  const { parent, pid } = await parentOfSleep(false)
  const ended = new Promise(resolve => parent.once('exit', resolve))
  parent.kill('SIGKILL')
  await ended
  assert.equal((await stateOf(pid))?.name, 'sleep')
  process.kill(pid, 'SIGKILL')
})

test('a program that is missing is named, not the one that starts it', async () => {
  const run = runChild('/nonexistent/pg_rewind', [], { by: within(1_000), diesWithUs: true })
  await assert.rejects(run, /ENOENT.*pg_rewind/)
})
