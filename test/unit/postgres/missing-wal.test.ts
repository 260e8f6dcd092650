import assert from 'node:assert/strict'
import test from 'node:test'
import { fetchCommand, missingWal } from '../../../src/postgres/missing-wal.ts'
import { restoreArguments } from '../../../src/postgres/rewind.ts'

const NAME = '000000020000000A000000FE'
const outputs = [
  [
    'as pg_rewind of 12 says it',
    `pg_rewind: error: could not open file "/data/pg_wal/${NAME}": No such file or directory\npg_rewind: fatal: could not find previous WAL record at A/FE0000B8`,
    NAME,
  ],
  ['of another directory', `could not open file "/data/base/${NAME}": No such file or directory`, undefined],
  ['that may not be read', `could not open file "/data/pg_wal/${NAME}": Permission denied`, undefined],
  ['of a failed restore', `could not restore file "${NAME}" from archive`, undefined],
] as const
for (const [what, output, want] of outputs)
  test(`the WAL file that pg_rewind lacks: ${what}`, () => assert.equal(missingWal(output), want))

test('restore_command gets a file beside, so that half a file is never taken for a whole one', () => {
  assert.equal(
    fetchCommand('get %f to "%p" since %r, 100%%, %x', NAME),
    `get ${NAME} to "pg_wal/${NAME}.pgherd" since ${'0'.repeat(24)}, 100%, %x`,
  )
})

const RESTORE = '--restore-target-wal'
const majors = [
  // major, configuration lies beside the data, what pg_rewind is told
  [12, false, ''],
  [12, true, ''],
  [13, false, RESTORE],
  [13, true, ''],
  [14, false, RESTORE],
  [14, true, ''],
  [15, false, RESTORE],
  [15, true, RESTORE],
  [16, true, RESTORE],
  [17, true, RESTORE],
  [18, true, RESTORE],
] as const
for (const [major, isBeside, want] of majors) {
  const where = isBeside ? 'with' : 'without'
  test(`pg_rewind ${major} ${where} a config_dir ${want === '' ? 'is helped to' : 'fetches'} WAL of the archive`, () => {
    assert.equal(restoreArguments(major, true, isBeside).join(), want)
    assert.equal(restoreArguments(major, false, isBeside).join(), '')
  })
}
