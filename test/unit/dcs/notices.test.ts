import assert from 'node:assert/strict'
import test from 'node:test'
import type { Notice } from '../../../src/dcs/dcs.ts'
import { NoticeQueue, PENDING_EVENTS_MAX } from '../../../src/dcs/notices.ts'

function events(first: number, count = 1): Notice {
  const position = { clusterId: '1', revision: BigInt(first + count), raftTerm: 1n }
  const list = Array.from({ length: count }, (_, index) => {
    return { kind: 'delete', key: 'k', revision: BigInt(first + index) } as const
  })
  return { kind: 'events', position, events: list }
}

const stale = { kind: 'stale', why: 'test' } as const

test('a waiting reader gets a notice as it comes', async () => {
  const queue = new NoticeQueue(() => {})
  const next = queue.next()
  queue.push(events(1))
  assert.deepEqual((await next).value, events(1))
})

test('events that wait are handed over together, in order, with the newest position', async () => {
  const queue = new NoticeQueue(() => {})
  for (const first of [1, 2, 3]) queue.push(events(first))
  const notice: Notice | undefined = (await queue.next()).value
  assert.ok(notice?.kind === 'events')
  assert.deepEqual(
    notice.events.map(event => (event.kind === 'delete' ? event.revision : 0n)),
    [1n, 2n, 3n],
  )
  assert.equal(notice.position.revision, 4n)
})

test('stale covers what waited before it, not what comes after', async () => {
  const queue = new NoticeQueue(() => {})
  for (const notice of [events(1), stale, events(2)]) queue.push(notice)
  assert.equal((await queue.next()).value?.kind, 'stale')
  assert.deepEqual((await queue.next()).value, events(2))
})

test('more events than may wait become one stale, and memory is given back', async () => {
  const queue = new NoticeQueue(() => {})
  queue.push(events(1, PENDING_EVENTS_MAX))
  queue.push(events(9_000))
  queue.push(events(9_001))
  const first = (await queue.next()).value
  assert.ok(first?.kind === 'stale' && first.why.includes(String(PENDING_EVENTS_MAX)))
  assert.deepEqual((await queue.next()).value, events(9_001))
})

test('the end wakes a waiting reader and drops what is pending', async () => {
  const queue = new NoticeQueue(() => {})
  const next = queue.next()
  queue.end()
  assert.equal((await next).done, true)
  queue.push(stale)
  assert.equal((await queue.next()).done, true)
})

test('a reader that leaves its loop stops the watch', async () => {
  let stops = 0
  const queue = new NoticeQueue(() => {
    stops += 1
  })
  queue.push(stale)
  for await (const notice of queue) {
    assert.equal(notice, stale)
    break
  }
  assert.equal(stops, 1)
})
