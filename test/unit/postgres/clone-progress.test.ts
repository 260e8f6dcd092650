import assert from 'node:assert/strict'
import test from 'node:test'
import { readProgress, withoutProgress } from '../../../src/postgres/clone-progress.ts'

const rows = [
  ['the first word', '0/29853 kB (0%), 0/1 tablespace', { doneBytes: 0, totalBytes: 29853 * 1024 }],
  [
    'the latest of several, with a file name',
    '10/200 kB (5%), 0/1 tablespace (/data/base/1/2)\n150/200 kB (75%), 0/1 tablespace (.../base/1/3)\n',
    { doneBytes: 150 * 1024, totalBytes: 200 * 1024 },
  ],
  ['no estimate', '4096/0 kB (100%), 0/1 tablespace', { doneBytes: 4096 * 1024, totalBytes: undefined }],
  ['more than was estimated', '300/200 kB (100%)', { doneBytes: 300 * 1024, totalBytes: 300 * 1024 }],
  ['waiting for the checkpoint', 'waiting for checkpoint', undefined],
  ['nothing', '', undefined],
] as const
for (const [what, text, want] of rows)
  test(`the progress of a copy: ${what}`, () => assert.deepEqual(readProgress(text), want))

test('what is said beside the progress stays for a person', () => {
  const text =
    '10/200 kB (5%), 0/1 tablespace (a)\r20/200 kB (10%), 0/1 tablespace (b)\npg_basebackup: error: could not write\n'
  assert.equal(withoutProgress(text), 'pg_basebackup: error: could not write')
})
