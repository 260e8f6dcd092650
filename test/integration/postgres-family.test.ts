// Which processes the fence ends: those of our directory, whatever namespace they live in, and nobody else's.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, realpath } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { familyOf, killFamily } from '../../src/postgres/family.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const directory = path.join(work.data, 'data')
await mkdir(directory)
const real = await realpath(directory)

/** A process that works in `directory`, in a mount namespace of its own in which `prepare` was run before. */
async function worker(prepare: string): Promise<ChildProcess> {
  const script = `${prepare}; cd ${real} && exec sleep 60`
  const child = spawn('unshare', ['--mount', '--', 'sh', '-c', script], { stdio: 'ignore', detached: true })
  work.defer(() => child.kill('SIGKILL'))
  await waitFor('the process to be in place', { withinMs: 20_000 }, async note => {
    const command = await readFile(`/proc/${child.pid}/comm`, 'utf8')
    note(command)
    return command.trim() === 'sleep'
  })
  return child
}

const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null

test('a process of our directory is ours though its service was started with mounts of its own', async () => {
  const child = await worker(':')
  assert.equal((await familyOf(real)).length, 1)
  assert.equal(await killFamily(real), 1)
  await waitFor(
    'its end',
    { withinMs: 20_000 },
    async () => child.exitCode !== null || child.signalCode !== null,
  )
  assert.deepEqual(await familyOf(real), [])
})

test('a process of a container that has another directory under the same path is not ours', async () => {
  const child = await worker(`mount -t tmpfs tmpfs ${real}`)
  assert.deepEqual(await familyOf(real), [])
  assert.equal(await killFamily(real), 0)
  assert.equal(isRunning(child), true, 'it lives on')
})

test('processes that end while they are looked at are no fault and not ours any more', async t => {
  const churn = `cd ${real} && while :; do /bin/true & /bin/true & /bin/true; done`
  const children = [1, 2].map(() =>
    spawn('unshare', ['--mount', '--', 'sh', '-c', churn], { stdio: 'ignore' }),
  )
  for (const child of children) work.defer(() => child.kill('SIGKILL'))
  let seen = 0
  for (let look = 0; look < 60; look += 1) seen = Math.max(seen, (await familyOf(real)).length)
  t.diagnostic(`up to ${seen} processes at once`)
  for (const child of children) child.kill('SIGKILL')
  while ((await killFamily(real)) > 0) await realClock.sleep(5)
  assert.deepEqual(await familyOf(real), [])
})
