// Both commands of the README as an ordinary user starts them, in a copy of the checkout that is his: no sudo is needed when
// nothing is missing, the namespaces of the tests are a user's own, and Ctrl-C in a terminal ends the demo through npm.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { serverAccount } from '../../src/demo/account.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { makeWorkplace } from '../support/workplace.ts'

const CHECKOUT = path.resolve(import.meta.dirname, '../..')
const WITHIN_MS = 300_000
const USER = 'pgherd'

const work = await makeWorkplace({ after })
const account = await serverAccount()
const home = path.join(work.data, 'home')
const copy = path.join(home, 'pgherd')

// What git knows of, changes included, and the installed modules.
await shell(`mkdir -p ${copy} && cd ${CHECKOUT} && git ls-files -z | tar -c --null -T - | tar -x -C ${copy}`)
await shell(`cp -a ${CHECKOUT}/node_modules ${copy}/ && chown -R ${account.uid}:${account.gid} ${home}`)

/** What a login of that user would give. */
const env = {
  HOME: home,
  USER: USER,
  LOGNAME: USER,
  LANG: 'C.UTF-8',
  TERM: 'xterm',
  SHELL: '/bin/sh',
  TMPDIR: '/tmp',
  PATH: process.env['PATH'],
}
const asUser =
  process.getuid?.() === 0
    ? ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--no-new-privs']
    : []

async function shell(command: string): Promise<void> {
  const by = Deadline.in(realClock, WITHIN_MS)
  const done = await runChild('/bin/sh', ['-c', command], { by })
  assert.equal(done.code, 0, done.stderr)
}

async function run(...command: readonly string[]): Promise<string> {
  const [program = '', ...args] = [...asUser, ...command]
  const done = await runChild(program, args, { by: Deadline.in(realClock, WITHIN_MS), cwd: copy, env })
  assert.equal(done.code, 0, done.stdout + done.stderr)
  return done.stdout
}

test('an ordinary user runs tests in namespaces of his own', async () => {
  const text = await run('npm', 'test', '--', 'test/interop/harness-network.test.ts')
  assert.match(text, /# pass 5\n# fail 0/)
})

test('an ordinary user runs the demo', async () => {
  const data = path.join(home, 'demo')
  await run('mkdir', data)
  const text = await run('npm', 'run', 'demo', '--', '--once', '--data', data)
  assert.doesNotMatch(text, /started as root/)
  assert.match(text, /0 missing, 0 doubled/)
  assert.deepEqual(await readdir(data), [])
})

test('Ctrl-C in a terminal ends the demo, npm with it, and nothing is left', async () => {
  const data = path.join(home, 'interrupted')
  await run('mkdir', data)
  const command = `cd ${copy} && exec npm run demo -- --data ${data}`
  const [program = '', ...args] = [...asUser, 'script', '-q', '-f', '-e', '-c', command, '/dev/null']
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  await waitFor('the first server', { withinMs: WITHIN_MS }, note => {
    note(shown.slice(-300))
    return shown.includes('pg1')
  })
  child.stdin.write('\x03')
  await waitFor('everything to be removed', { withinMs: 60_000 }, async note => {
    note(shown.slice(-300))
    return (await readdir(data)).length === 0
  })
  await ended
  assert.match(shown, /removing everything/)
})
