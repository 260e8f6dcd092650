import assert from 'node:assert/strict'
import { type FileHandle, mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { waitFor } from '../../../src/demo/wait.ts'
import { runChild } from '../../../src/platform/child.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { EventLog } from '../../../src/platform/event-log.ts'

interface Draft {
  readonly kind: string
  readonly says?: string
  readonly epoch?: bigint
}

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'event-log-'))
  t.after(() => rm(directory, { recursive: true }))
  return directory
}

function openLog(file?: string): EventLog<Draft> {
  return new EventLog<Draft>({ source: 'pg1', clock: realClock, ...(file === undefined ? {} : { file }) })
}

function idsIn(text: string): readonly number[] {
  const lines = text.split('\n').filter(line => line !== '')
  return lines.map(line => (JSON.parse(line) as { readonly id: number }).id)
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

test('the newest 10,000 events stay in memory', () => {
  const log = openLog()
  for (let count = 0; count < 10_003; count += 1) log.record({ kind: 'tick' })
  const kept = log.last()
  assert.deepEqual([kept.length, kept[0]?.id, kept.at(-1)?.id], [10_000, 4, 10_003])
  assert.deepEqual(
    log.last(2).map(({ id }) => id),
    [10_002, 10_003],
  )
})

test('a file of more than 8 MB becomes the old one, and the next event begins a new one', async t => {
  const file = path.join(await makeDirectory(t), 'events.jsonl')
  const log = openLog(file)
  const says = 'x'.repeat(1024 * 1024)
  for (let count = 0; count < 9; count += 1) log.record({ kind: 'long', says })
  await waitFor('the old file', { withinMs: 20_000 }, async () => (await stat(`${file}.1`)).size > 0)
  assert.deepEqual(idsIn(await readFile(`${file}.1`, 'utf8')), range(1, 9))
  log.record({ kind: 'short', epoch: 2n ** 60n })
  const text = await waitFor('the new file', { withinMs: 20_000 }, () => readFile(file, 'utf8'))
  assert.deepEqual(idsIn(text), [10])
  assert.match(text, /"epoch":"1152921504606846976"/)
})

test('a disk that hangs keeps nobody waiting: 1,000 lines are kept for it, the rest is in memory alone', async t => {
  // To open a pipe that nobody reads takes as long as nobody reads.
  const pipe = path.join(await makeDirectory(t), 'events.jsonl')
  const made = await runChild('mkfifo', [pipe], { by: Deadline.in(realClock, 10_000) })
  assert.equal(made.code, 0, made.stderr)
  const log = openLog(pipe)
  for (let count = 0; count < 3_000; count += 1) log.record({ kind: 'tick' })
  assert.equal(log.last().length, 3_000)
  const reader = await open(pipe, 'r+')
  t.after(() => reader.close())
  // The first line was on its way when the disk began to hang.
  assert.deepEqual(idsIn(await readLines(reader, 1_001)), range(1, 1_001))
  // What was pending is written: there is room again, and the file goes on after a gap.
  const next = await waitFor('the pipe to take more', { withinMs: 10_000 }, async () => {
    log.record({ kind: 'tock' })
    return readLines(reader, 1)
  })
  assert.deepEqual(idsIn(next), [3_001])
})

async function readLines(reader: FileHandle, count: number): Promise<string> {
  let text = ''
  while (text.split('\n').length <= count) {
    const { bytesRead, buffer } = await reader.read(Buffer.alloc(65_536))
    text += buffer.toString('utf8', 0, bytesRead)
  }
  return text
}
