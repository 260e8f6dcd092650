import assert from 'node:assert/strict'
import test from 'node:test'
import { forkPoint, type Lineage } from '../../../src/postgres/fork-point.ts'
import { endOfRecord, parseRecord } from '../../../src/postgres/wal-records.ts'

/** `lineage(3, 100n, 200n)`: timeline 1 was left at 100, 2 at 200. */
const lineage = (timeline: number, ...ends: readonly bigint[]): Lineage => ({
  timeline,
  history: ends.map((switchLsn, index) => ({ timeline: index + 1, switchLsn })),
})
const skipping: Lineage = { timeline: 3, history: [{ timeline: 1, switchLsn: 100n }] }

const rows = [
  ['the same timeline', lineage(2, 100n), lineage(2, 100n), undefined],
  ['the first timeline on both', lineage(1), lineage(1), undefined],
  ['a leader one timeline on', lineage(1), lineage(2, 100n), { timeline: 1, lsn: 100n }],
  ['a leader two timelines on', lineage(1), lineage(3, 100n, 200n), { timeline: 1, lsn: 100n }],
  ['a leader behind us', lineage(2, 100n), lineage(1), { timeline: 1, lsn: 100n }],
  ['two promotions to one number', lineage(2, 100n), lineage(2, 90n), { timeline: 1, lsn: 90n }],
  [
    'two ways after a common one',
    lineage(3, 100n, 200n),
    lineage(4, 100n, 150n, 300n),
    { timeline: 2, lsn: 150n },
  ],
  ['a leader that left out our timeline', lineage(2, 100n), skipping, { timeline: 1, lsn: 100n }],
  ['a leader that left out ours earlier', lineage(2, 120n), skipping, { timeline: 1, lsn: 100n }],
] as const
for (const [what, ours, theirs, want] of rows) {
  const where = want === undefined ? 'nowhere' : `on ${want.timeline} at ${want.lsn}`
  test(`${what}: the histories part ${where}`, () => {
    assert.deepEqual(forkPoint(ours, theirs), want)
  })
}

const LINE =
  'rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/017414F8, prev 0/017414C0, desc: CHECKPOINT_SHUTDOWN redo 0/17414F8; tli 1'

test("a line of pg_waldump is read with its total length, not its data's", () => {
  const fullPage =
    'rmgr: Heap        len (rec/tot):     54/  8058, tx:        724, lsn: 16/B374D848, prev 0/1, desc: INSERT off 1'
  assert.deepEqual(parseRecord(LINE), {
    lsn: 0x17414f8n,
    totalBytes: 114,
    description: 'CHECKPOINT_SHUTDOWN redo 0/17414F8; tli 1',
  })
  assert.deepEqual([parseRecord(fullPage)?.totalBytes, parseRecord(fullPage)?.lsn], [8058, 0x16b374d848n])
})
for (const text of ['', 'first record is after 0/3000000, at 0/3000028, skipping over 40 bytes']) {
  test(`${JSON.stringify(text)} is no record`, () => assert.equal(parseRecord(text), undefined))
}

const SEGMENT = 16n * 1024n * 1024n
const ends = [
  // what, lsn, bytes, description, end
  ['is aligned to eight bytes', 0x17414f8n, 114, 'CHECKPOINT_SHUTDOWN', 0x1741570n],
  ['may fill its page exactly', 0x1741fc0n, 64, 'X', 0x1742000n],
  ['counts the header of a page that it crosses', 0x1741fc0n, 65, 'X', 0x1742000n + 24n + 8n],
  ['counts the longer header of a segment', SEGMENT - 64n, 65, 'X', SEGMENT + 40n + 8n],
  ['counts every header', 0x1741fc0n, 64 + 8168 + 100, 'X', 0x1744000n + 24n + 104n],
  ['fills its segment after a switch', 0x17414f8n, 24, 'SWITCH ', 2n * SEGMENT],
] as const
for (const [what, lsn, totalBytes, description, want] of ends) {
  test(`the end of a record ${what}`, () => {
    assert.equal(endOfRecord({ lsn, totalBytes, description }, 8192, SEGMENT), want)
  })
}
