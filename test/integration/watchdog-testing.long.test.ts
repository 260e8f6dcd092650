// A whole agent with the driver `testing`, which speaks to a pipe instead of a device; and what `automatic` does without one.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chown, mkdir } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { createCluster } from '../support/fixture.ts'

const { cluster, work } = await createCluster(
  { after },
  { etcd: 1, members: 1, proxies: 0, dcs: { ttl: 10, loop_wait: 1, retry_timeout: 3 } },
)
const pg1 = cluster.member('pg1')
const { uid, gid } = pg1.host.account
const directory = path.join(work.data, 'dog')
await mkdir(directory)
const pipe = path.join(directory, 'watchdog')
const made = await runChild('mkfifo', [pipe], { by: Deadline.in(realClock, 5_000) })
assert.equal(made.code, 0, made.stderr)
await chown(pipe, uid, gid)

let said = ''
// Opened for reading and writing, so that the pipe outlives each of its writers.
const reader = spawn('sh', ['-c', 'exec cat <>"$0"', pipe], { stdio: ['ignore', 'pipe', 'inherit'] })
reader.stdout.on('data', (chunk: Buffer) => {
  said += chunk.toString('latin1')
})
work.defer(() => {
  reader.kill('SIGKILL')
})

test('a leader sets the timeout in the pipe, feeds it, and says farewell once its server is stopped', async () => {
  await pg1.configure({ watchdog: { mode: 'required', driver: 'testing', device: pipe, safety_margin: 3 } })
  await cluster.start()
  await waitFor('the timeout', { withinMs: 10_000 }, note => {
    note(said)
    return said.startsWith('Ctimeout=7\n')
  })
  const fed = () => said.replace(/^Ctimeout=7\n/, '')
  await waitFor('some feeding', { withinMs: 20_000 }, note => {
    note(said)
    return fed().length >= 3
  })
  assert.doesNotMatch(said, /V/, 'no farewell while it leads')
  assert.deepEqual(await pg1.agent.stop(30_000), { code: 0, signal: undefined })
  await waitFor('the farewell', { withinMs: 10_000 }, note => {
    note(said)
    return said.endsWith('V')
  })
  assert.equal(said.indexOf('V'), said.length - 1, 'nothing is fed after the farewell')
})

test('automatic without a device: it leads all the same, and the log says what is missing', async () => {
  await pg1.configure({ watchdog: { mode: 'automatic', device: path.join(directory, 'none') } })
  await pg1.agent.start()
  await cluster.leader()
  await waitFor('the log to tell', { withinMs: 20_000 }, async () => {
    const { stdout } = await runChild('grep', ['-c', 'watchdog not armed', pg1.agent.logFile], {
      by: Deadline.in(realClock, 5_000),
    })
    return Number(stdout) > 0
  })
  assert.equal((await pg1.status())['watchdog_failed'], undefined)
})
