import assert from 'node:assert/strict'
import test from 'node:test'
import { headerAfter, segmentName } from '../../../src/postgres/timeline-start.ts'

const PAGE = 8192n
const SEGMENT = 16n * 1024n * 1024n

test('the first record of a timeline lies at the switch point, after the headers of a page or of a segment', () => {
  assert.equal(headerAfter(SEGMENT + 1000n, PAGE, SEGMENT), 1000)
  assert.equal(headerAfter(SEGMENT + PAGE, PAGE, SEGMENT), 8192 + 24)
  assert.equal(headerAfter(SEGMENT, PAGE, SEGMENT), 40)
})

test('a header that a page boundary cuts in two is not compared', () => {
  assert.equal(headerAfter(SEGMENT + PAGE - 24n, PAGE, SEGMENT), 8168)
  assert.equal(headerAfter(SEGMENT + PAGE - 16n, PAGE, SEGMENT), undefined)
})

test('a segment file is named by timeline and position', () => {
  assert.equal(segmentName(2, 0x1_0300_0028n, SEGMENT), '000000020000000100000003')
  assert.equal(segmentName(26, 0n, SEGMENT), '0000001A0000000000000000')
})
