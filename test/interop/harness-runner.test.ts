// The test runner itself: what it says about files that fail, hang, hide, or leave something behind.

import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { type FileResult, runFile } from '../../scripts/lib/tests/file.js'
import { processesWith } from '../../scripts/lib/tests/isolate.js'
import { STAGES } from '../../scripts/lib/tests/tiers.js'
import { serverAccount } from '../../src/demo/account.ts'

const head = `import test from 'node:test'\nimport assert from 'node:assert/strict'\nimport { spawn } from 'node:child_process'\n`

async function runText(t: TestContext, text: string, timeoutSeconds = 20): Promise<FileResult> {
  const directory = await mkdtemp(path.join(tmpdir(), 'runner-'))
  await chmod(directory, 0o755)
  t.after(() => rm(directory, { recursive: true }))
  const file = path.join(directory, 'sample.test.ts')
  await writeFile(file, head + text)
  await mkdir(path.join(directory, 'run'))
  const stage = STAGES.find(({ name }) => name === 'real')
  assert.ok(stage)
  return runFile(
    { file, tier: 'interop', stage, timeoutSeconds, purpose: stage.purpose },
    {
      directory: path.join(directory, 'run'),
      account: await serverAccount(),
      env: process.env,
      signal: new AbortController().signal,
    },
  )
}

const problems = ({ tests }: FileResult) =>
  tests.filter(({ result }) => result === 'failed').map(({ name }) => name.replace(/^\S+\.test\.ts /, ''))

test('results, skips with their reason and figures are reported', async t => {
  const result = await runText(
    t,
    `test('works', t => t.diagnostic('took 1.2 s'))
     test('is not for this machine', { skip: 'no watchdog here' }, () => {})
     test('breaks', () => assert.equal(1, 2))`,
  )
  assert.deepEqual(
    result.tests.map(({ name, result, reason }) => [name, result, reason]),
    [
      ['works', 'passed', undefined],
      ['is not for this machine', 'skipped', 'no watchdog here'],
      ['breaks', 'failed', undefined],
    ],
  )
  assert.deepEqual(result.notes, ['took 1.2 s'])
})

test('a file has a network of its own, with loopback up, and its data on a tmpfs', async t => {
  const result = await runText(
    t,
    `import { networkInterfaces } from 'node:os'
     import { readFileSync } from 'node:fs'
     test('loopback alone', () => assert.deepEqual(Object.keys(networkInterfaces()), ['lo']))
     test('tmpfs', () => assert.match(readFileSync('/proc/self/mounts', 'utf8'), new RegExp('tmpfs ' + process.env.PGHERD_WORK + '/data')))`,
  )
  assert.deepEqual(problems(result), [])
})

test('a skip without a reason, a file without tests and a crash at start are failures', async t => {
  assert.deepEqual(problems(await runText(t, `test('later', { skip: true }, () => {})`)), [
    'skipped without a reason: later',
  ])
  assert.deepEqual(problems(await runText(t, '')), ['has no tests'])
  assert.deepEqual(problems(await runText(t, `throw new Error('boom')`)), ['ended with exit code 1'])
})

test('a file that hangs is ended at its deadline, with the name of the test that hung', async t => {
  const result = await runText(
    t,
    `test('waits for ever', () => new Promise(done => setTimeout(done, 1e6)))`,
    2,
  )
  assert.deepEqual(problems(result), ['not finished after 2 s during: waits for ever'])
})

test('processes and temporary files left behind are failures, and the processes are killed', async t => {
  const result = await runText(
    t,
    `import { mkdtempSync } from 'node:fs'
     import { tmpdir } from 'node:os'
     test('litters', () => {
       spawn('sleep', ['601'], { detached: true, stdio: 'ignore' }).unref()
       spawn('env', ['-i', 'sleep', '602'], { detached: true, stdio: 'ignore' }).unref()
       spawn('unshare', ['--mount', 'sleep', '603'], { detached: true, stdio: 'ignore' }).unref()
       mkdtempSync(tmpdir() + '/litter-')
     })`,
  )
  const left = problems(result)
    .map(text => text.replace(/behind: \d+ /, 'behind: ').replace(/litter-.*/, 'litter'))
    .sort()
  assert.deepEqual(left, [
    'left a process behind: sleep 601',
    'left a process behind: sleep 602',
    'left a process behind: sleep 603',
    'left a temporary file behind: litter',
  ])
  assert.deepEqual(processesWith(`PGHERD_WORK=${result.work}`), [])
})
