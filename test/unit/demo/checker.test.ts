import assert from 'node:assert/strict'
import test from 'node:test'
import { compare } from '../../../src/demo/checker.ts'
import { type Acknowledgement, staleAcknowledgements } from '../../../src/demo/prober.ts'

test('acknowledged rows that are missing or there twice are named', () => {
  const counts = new Map([
    [1, 1],
    [2, 2],
    [9, 1],
  ])
  assert.deepEqual(compare([1, 2, 3], counts), {
    acknowledged: 3,
    present: 4,
    missing: [3],
    doubled: [2],
    unacknowledged: 1,
  })
})

const ack = (member: string, timeline: number, sentMs: number, atMs: number): Acknowledgement => ({
  member,
  timeline,
  sentMs,
  atMs,
})

test('timelines that follow one another are no fault', () => {
  assert.deepEqual(
    staleAcknowledgements([ack('pg1', 1, 0, 5), ack('pg2', 2, 10, 15), ack('pg2', 2, 20, 25)]),
    [],
  )
})

test('an acknowledgement of the old timeline after the first of the new one is found', () => {
  const records = [ack('pg1', 1, 0, 5), ack('pg2', 2, 10, 15), ack('pg1', 1, 20, 25), ack('pg2', 2, 30, 35)]
  assert.deepEqual(staleAcknowledgements(records), [
    { ...ack('pg1', 1, 20, 25), newerTimeline: 2, lateByMs: 10, sentLate: true },
  ])
})

test('a statement sent before the change and acknowledged after it is found too', () => {
  const [found] = staleAcknowledgements([ack('pg2', 2, 10, 15), ack('pg1', 1, 5, 2_015)])
  assert.deepEqual([found?.lateByMs, found?.sentLate], [2_000, false])
})
