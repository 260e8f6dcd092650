// The fence looks for the server's processes while the storage below them hangs: it must not take the process with it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { familyOf, killFamily } from '../../src/postgres/family.ts'
import { BindDisk } from '../support/disk-bind.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const host = await new LoopbackLayout(work.data, work.logs).host('h1')
work.defer(() => host.remove())
const disk = await BindDisk.mount(host)
work.defer(() => disk.remove())
const directory = path.join(disk.path, 'data')
await mkdir(directory)
/** What the kernel has learnt of a file is good for a second. */
const FORGOTTEN_MS = 1_500
const WORKERS = 6

test('processes with mounts of their own on storage that hangs: looking for them costs a deadline, and files elsewhere can be read', async t => {
  // Another mount namespace, as a service's private /tmp makes it: there the directories themselves must be compared.
  const workers = Array.from({ length: WORKERS }, () =>
    spawn('unshare', ['--mount', '--', 'sh', '-c', `cd ${directory} && exec sleep 600`], { stdio: 'ignore' }),
  )
  for (const worker of workers) work.defer(() => worker.kill('SIGKILL'))
  await waitFor(
    'the workers',
    { withinMs: 20_000 },
    async () => (await familyOf(directory)).length === WORKERS,
  )
  await sleep(FORGOTTEN_MS)
  disk.hang()
  for (let look = 0; look < 3; look += 1) {
    const beganMs = performance.now()
    assert.equal(await killFamily(directory), WORKERS, 'those that could not be compared count as there')
    const tookMs = performance.now() - beganMs
    t.diagnostic(`a look took ${Math.round(tookMs)} ms`)
    assert.ok(tookMs < 5 * 500, `${tookMs} ms`)
  }
  const beganMs = performance.now()
  const read = readFile('/proc/uptime', 'utf8')
  const isRead = await Promise.race([read.then(() => true), sleep(10_000).then(() => false)])
  assert.ok(isRead, 'a file elsewhere cannot be read any more: all threads of Node hang')
  t.diagnostic(`a file elsewhere was read in ${Math.round(performance.now() - beganMs)} ms`)
  disk.answer()
  await waitFor('their end', { withinMs: 20_000 }, async () => (await killFamily(directory)) === 0)
})
