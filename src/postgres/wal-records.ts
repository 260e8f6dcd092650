// Reads our own WAL with pg_waldump: is there anything after a position, and where does it end?

import { formatLsn, type Lsn, parseLsn, type Timeline } from '../cluster/lsn.ts'
import { runChild } from '../platform/child.ts'
import type { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import type { Context } from './context.ts'
import type { ControlFile } from './control-data.ts'
import { toolEnvironment } from './environment.ts'

export interface WalRecord {
  readonly lsn: Lsn
  readonly totalBytes: number
  readonly description: string
}

const LINE = /len \(rec\/tot\): +\d+\/ *(\d+),.* lsn: ([0-9A-F]+\/[0-9A-F]+), .*?desc: (.*)$/
const PAGE_HEADER_BYTES = 24n
const SEGMENT_HEADER_BYTES = 40n
const ALIGNMENT = 8n
/** Its words for "there is no WAL here": no error for us. */
const NOTHING_THERE = /could not find a valid record|could not find file|could not open file|No such file/

/** Reads one line of pg_waldump; undefined when it is no record. */
export function parseRecord(line: string): WalRecord | undefined {
  const match = LINE.exec(line)
  const lsn = parseLsn(match?.[2] ?? '')
  if (match === null || lsn === undefined) return undefined
  return { lsn, totalBytes: Number(match[1]), description: match[3] ?? '' }
}

/**
 * Where a record ends: page headers that it crosses are counted, the end is aligned. A segment switch fills its segment.
 */
export function endOfRecord(record: WalRecord, pageBytes: number, segmentBytes: bigint): Lsn {
  const page = BigInt(pageBytes)
  if (record.description.startsWith('SWITCH')) return (record.lsn / segmentBytes + 1n) * segmentBytes
  let position = record.lsn
  let left = BigInt(record.totalBytes)
  while (true) {
    const room = page - (position % page)
    if (left <= room) break
    left -= room
    position += room
    position += position % segmentBytes === 0n ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES
  }
  position += left
  return ((position + ALIGNMENT - 1n) / ALIGNMENT) * ALIGNMENT
}

/**
 * The first (`take: 'first'`) or last valid record of `timeline` at or after `from`; undefined when there is none.
 * Rejects when pg_waldump does not run or does not finish: then nothing is known.
 */
export async function recordAfter(
  context: Context,
  timeline: Timeline,
  from: Lsn,
  take: 'first' | 'last',
  by: Deadline,
): Promise<WalRecord | undefined> {
  const binaries = await context.binaries(by)
  const command = [
    binaries.path('pg_waldump'),
    `--path=${context.config.postgres.dataDir}/pg_wal`,
    `--timeline=${timeline}`,
    `--start=${formatLsn(from)}`,
  ]
  // Only the last line leaves the pipe: WAL can be long. pg_waldump ends with an error at the end of WAL: that is normal.
  const script = take === 'first' ? '"$@" --limit=1' : '"$@" | tail -n 1'
  const result = await runChild('/bin/sh', ['-c', script, 'sh', ...command], {
    by,
    env: toolEnvironment(),
    cwd: '/',
  })
  const record = parseRecord(result.stdout.trim())
  if (record !== undefined && !result.timedOut) return record
  if (!result.timedOut && NOTHING_THERE.test(result.stderr)) return undefined
  const why = result.timedOut ? 'it did not finish in time' : result.stderr.trim().split('\n').at(-1)
  throw new HaError('E_WALDUMP', `cannot read our own WAL with pg_waldump: ${why}`, { retryable: true })
}

/** The end of the shutdown checkpoint that the control file names: the last byte that a cleanly stopped server wrote. */
export async function endOfCheckpoint(context: Context, control: ControlFile, by: Deadline): Promise<Lsn> {
  const record = await recordAfter(context, control.timeline, control.checkpointLsn, 'first', by)
  if (record === undefined || record.lsn !== control.checkpointLsn) {
    throw new HaError(
      'E_WALDUMP',
      `the checkpoint record at ${formatLsn(control.checkpointLsn)} is not in pg_wal`,
    )
  }
  return endOfRecord(record, control.blockBytes, control.walSegmentBytes)
}
