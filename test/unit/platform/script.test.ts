// Real scripts: how they end, what they get, and that nothing of one is left that was ended.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { waitFor } from '../../../src/demo/wait.ts'
import { runScript, scriptEnvironment } from '../../../src/platform/script.ts'

const never = new AbortController().signal

test('a script tells its exit code; one that is not there or may not be run is told of', async t => {
  const directory = await mkdtemp(path.join(tmpdir(), 'pgherd-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  assert.deepEqual(await runScript(['sh', '-c', 'exit 3'], never), { kind: 'exited', code: 3 })
  assert.deepEqual(await runScript(['/nowhere/script'], never), {
    kind: 'not-run',
    says: '/nowhere/script is not there',
  })
  const plain = path.join(directory, 'plain')
  await writeFile(plain, '#!/bin/sh\n', { mode: 0o644 })
  assert.deepEqual(await runScript([plain], never), { kind: 'not-run', says: `${plain} may not be run` })
  assert.equal((await runScript([], never)).kind, 'not-run')
})

test('ended, its children are gone too', async t => {
  const directory = await mkdtemp(path.join(tmpdir(), 'pgherd-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const file = path.join(directory, 'pids')
  const end = new AbortController()
  const running = runScript(['sh', '-c', `sleep 1000 & echo "$! $$" > ${file}; wait`], end.signal)
  const pids = await waitFor('the pids', { withinMs: 10_000, everyMs: 10 }, async () => {
    const words = (await readFile(file, 'utf8')).trim().split(' ').map(Number)
    return words.length === 2 ? words : undefined
  })
  end.abort(new Error('a newer one is due'))
  assert.deepEqual(await running, { kind: 'killed', says: 'ended by SIGKILL' })
  for (const pid of pids) {
    await waitFor(`${pid} to be gone`, { withinMs: 5_000, everyMs: 10 }, async () => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
      return stat === undefined || /\) Z /.test(stat)
    })
  }
})

test('what a script leaves running on purpose is not waited for', async () => {
  const startedMs = performance.now()
  assert.deepEqual(await runScript(['sh', '-c', 'sleep 5 & exit 0'], never), { kind: 'exited', code: 0 })
  assert.ok(performance.now() - startedMs < 4_000)
})

test('our own variables stay with us, everything else is handed on', () => {
  const env = {
    PATH: '/bin',
    PATRONI_SUPERUSER_PASSWORD: 's',
    PGHERD_X: '1',
    NOTIFY_SOCKET: '/run/s',
    KUBERNETES_PORT: '1',
  }
  assert.deepEqual(scriptEnvironment(env), { PATH: '/bin', KUBERNETES_PORT: '1' })
})
