import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { waitFor } from '../../../src/demo/wait.ts'
import { openLog } from '../../../src/platform/log.ts'
import { LogFile, type LogFileOptions } from '../../../src/platform/log-file.ts'

async function openFile(t: TestContext, options: Partial<LogFileOptions> = {}): Promise<LogFile> {
  const folder = await mkdtemp(path.join(tmpdir(), 'pgherd-log-'))
  t.after(() => rm(folder, { recursive: true }))
  return LogFile.open({
    path: path.join(folder, 'patroni.log'),
    bytesMax: 1_000,
    oldFiles: 2,
    linesMax: 100,
    mode: undefined,
    ...options,
  })
}

const line = (number: number) => `${String(number).padStart(99, '0')}\n`

async function drained(file: LogFile): Promise<void> {
  await waitFor('the lines to be written', { withinMs: 10_000, everyMs: 5 }, () => file.queued === 0)
}

test('a file that has its size becomes .1, that one .2, and the oldest goes', async t => {
  const file = await openFile(t)
  for (let number = 1; number <= 45; number += 1) {
    file.write(line(number))
    await drained(file)
  }
  await file.close()
  const folder = path.dirname(file.path)
  assert.deepEqual((await readdir(folder)).sort(), ['patroni.log', 'patroni.log.1', 'patroni.log.2'])
  const texts = await Promise.all(['.2', '.1', ''].map(end => readFile(`${file.path}${end}`, 'utf8')))
  const numbers = texts.join('').trimEnd().split('\n').map(Number)
  assert.deepEqual(
    numbers,
    Array.from({ length: 25 }, (_, index) => index + 21),
  )
  for (const text of texts) assert.ok(text.length <= 1_000)
  assert.equal(file.lost, 0)
})

test('with no old files the one is emptied', async t => {
  const file = await openFile(t, { oldFiles: 0 })
  for (let number = 1; number <= 12; number += 1) {
    file.write(line(number))
    await drained(file)
  }
  await file.close()
  assert.deepEqual(await readdir(path.dirname(file.path)), ['patroni.log'])
  assert.equal(await readFile(file.path, 'utf8'), line(11) + line(12))
})

test('lines beyond the bound are counted and gone, and writing returns at once', async t => {
  const file = await openFile(t, { linesMax: 10, bytesMax: 1_000_000 })
  for (let number = 1; number <= 25; number += 1) file.write(line(number))
  assert.deepEqual([file.queued, file.lost], [10, 15])
  await drained(file)
  file.write(line(26))
  await file.close()
  const written = (await readFile(file.path, 'utf8')).trimEnd().split('\n').map(Number)
  assert.deepEqual(written, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 26])
})

test('a file is continued and has the wanted mode', async t => {
  const first = await openFile(t, { mode: 0o640 })
  first.write('one\n')
  await first.close()
  assert.equal((await stat(first.path)).mode & 0o777, 0o640)
  const options = { path: first.path, bytesMax: 1_000, oldFiles: 1, linesMax: 10, mode: undefined }
  const second = await LogFile.open(options)
  second.write('two\n')
  await second.close()
  assert.equal(await readFile(first.path, 'utf8'), 'one\ntwo\n')
})

test('a full disk holds nothing up: the lines wait, and the next one tries again', {
  timeout: 20_000,
}, async () => {
  const file = await LogFile.open({
    path: '/dev/full',
    bytesMax: 1e9,
    oldFiles: 1,
    linesMax: 5,
    mode: undefined,
  })
  for (let number = 1; number <= 8; number += 1) file.write(line(number))
  await waitFor('the first try to fail', { withinMs: 5_000, everyMs: 5 }, () => file.queued === 5)
  assert.equal(file.lost, 3)
  await file.close()
})

test('a log goes to its file; parts have levels of their own, and both may change for loggers that exist', async t => {
  const file = await openFile(t, { bytesMax: 1_000_000 })
  const log = openLog({ type: 'plain', level: 'info', fd: 2, print: ({ text }) => `${text}\n` })
  const postgres = log.with({ part: 'postgres' })
  log.setFile(file)
  postgres.info('told')
  log.setLook({
    level: 'info',
    levels: new Map([['postgres', 'warning']]),
    print: ({ logger, text }) => `${logger}: ${text}\n`,
  })
  postgres.info('too little')
  postgres.warning('enough')
  postgres.with({ slot: 'x' }).info('too little, too')
  log.info('of all')
  log.debug('too little')
  log.setLook({ level: 'debug', print: ({ text }) => `${text}\n` })
  postgres.debug('at last')
  await drained(file)
  assert.deepEqual(log.health(), { queued: 0, lost: 0 })
  await file.close()
  assert.equal(await readFile(file.path, 'utf8'), 'told\npgherd.postgres: enough\npgherd: of all\nat last\n')
})
