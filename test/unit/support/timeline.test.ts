import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { mergedTimeline, readableLine, timestampMs } from '../../support/timeline.ts'

const utc = Date.UTC(2026, 4, 7, 10, 11, 12, 345)
const local = new Date(2026, 4, 7, 10, 11, 12, 345).getTime()

const stamps: readonly (readonly [string, string, number | undefined])[] = [
  ['an agent or Patroni', '2026-05-07 10:11:12,345 INFO: no action. I am (pg1)', local],
  ['PostgreSQL in UTC', '2026-05-07 10:11:12.345 UTC [17] LOG:  ready', utc],
  ['etcd with microseconds', '2026-05-07 10:11:12.345678 I | raft: became leader', local + 0.678],
  ['etcd in JSON', '{"level":"info","ts":"2026-05-07T10:11:12.345Z","msg":"x"}', utc],
  ['pino', `{"level":30,"time":${utc},"msg":"x"}`, utc],
  ['keepalived', 'Thu May  7 10:11:12 2026: Entering MASTER STATE', local - 345],
  ['a program without stamps', '[NOTICE]   (12) : New worker', undefined],
]

for (const [what, line, want] of stamps) {
  test(`the time stamp of ${what} is understood`, () => assert.equal(timestampMs(line), want))
}

test('logs are merged by time and unstamped lines stay with their predecessor', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'timeline-'))
  try {
    await writeFile(
      path.join(directory, 'a.log'),
      '2026-05-07 10:00:01,000 INFO: one\n  detail\n2026-05-07 10:00:03,000 INFO: three\n',
    )
    await writeFile(path.join(directory, 'pg.log'), '2026-05-07 10:00:02,500 INFO: two\n')
    assert.deepEqual(await mergedTimeline(directory), [
      '10:00:01.000 a  | 2026-05-07 10:00:01,000 INFO: one',
      '10:00:01.000 a  |   detail',
      '10:00:02.500 pg | 2026-05-07 10:00:02,500 INFO: two',
      '10:00:03.000 a  | 2026-05-07 10:00:03,000 INFO: three',
    ])
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('of what etcd says, elections and warnings are shown and its talk about connections is not', () => {
  const line = (level: string, msg: string) =>
    JSON.stringify({ level, ts: '2026-05-07T10:11:12Z', caller: 'x.go:1', msg, id: 7 })
  assert.equal(readableLine(line('info', 'set message encoder')), undefined)
  assert.equal(
    readableLine(line('info', 'raft.node: 1 elected leader 2')),
    'info raft.node: 1 elected leader 2 {"id":7}',
  )
  assert.equal(readableLine(line('warn', 'slow fdatasync')), 'warn slow fdatasync {"id":7}')
})

test('a directory that does not exist is an empty timeline', async () => {
  assert.deepEqual(await mergedTimeline('/nonexistent/logs'), [])
})
