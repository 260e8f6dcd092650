import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { matchSnapshot } from '../../support/snapshot.ts'

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'snapshot-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

test('a text that equals its snapshot passes, another one fails', async t => {
  const directory = await makeDirectory(t)
  await writeFile(path.join(directory, 'greeting.snap.txt'), 'hello\n')
  await matchSnapshot('greeting', 'hello', directory)
  await assert.rejects(matchSnapshot('greeting', 'goodbye', directory), /greeting differs from its snapshot/)
})

test('a snapshot that does not exist is a failure, not a silent success', async t => {
  await assert.rejects(
    matchSnapshot('nothing', 'x', await makeDirectory(t)),
    /no snapshot .*UPDATE_SNAPSHOTS=1/,
  )
})

test('UPDATE_SNAPSHOTS=1 writes the file', async t => {
  const directory = await makeDirectory(t)
  process.env['UPDATE_SNAPSHOTS'] = '1'
  t.after(() => delete process.env['UPDATE_SNAPSHOTS'])
  await matchSnapshot('deep/greeting', 'hello', directory)
  assert.equal(await readFile(path.join(directory, 'deep/greeting.snap.txt'), 'utf8'), 'hello\n')
})
