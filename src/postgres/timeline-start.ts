// Two promotions from one position give two timelines of one number with one history: only their first records differ (they
// carry the time and a checksum). This compares them, so that nobody streams from the one on top of the other.

import type { Lsn, Timeline } from '../cluster/lsn.ts'
import type { Deadline } from '../platform/deadline.ts'
import { withConnection } from './connection.ts'
import type { Context } from './context.ts'
import type { Lineage } from './fork-point.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Upstream } from './port.ts'

/** A record's header; its last field is the checksum of the whole record. */
export const RECORD_HEADER_BYTES = 24
const PAGE_HEADER_BYTES = 24n
const SEGMENT_HEADER_BYTES = 40n
const WAL_FILE_PARTS = 0x1_0000_0000n

/** Where the header of the record after `lsn` lies in its segment; undefined when a page boundary cuts it in two. */
export function headerAfter(lsn: Lsn, pageBytes: bigint, segmentBytes: bigint): number | undefined {
  const isAtPage = lsn % pageBytes === 0n
  const skipped = !isAtPage ? 0n : lsn % segmentBytes === 0n ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES
  const offset = (lsn % segmentBytes) + skipped
  const leftBytes = pageBytes - (offset % pageBytes)
  return leftBytes < BigInt(RECORD_HEADER_BYTES) ? undefined : Number(offset)
}

/** The segment file that holds `lsn` on `timeline`. */
export function segmentName(timeline: Timeline, lsn: Lsn, segmentBytes: bigint): string {
  const number = lsn / segmentBytes
  const perPart = WAL_FILE_PARTS / segmentBytes
  const hex = (value: bigint) => value.toString(16).toUpperCase().padStart(8, '0')
  return hex(BigInt(timeline)) + hex(number / perPart) + hex(number % perPart)
}

/**
 * Is our timeline the leader's, or only one of the same number? The position at which they part, or undefined when they
 * begin with the same record, or when one of the two no longer has it: then nothing is known to differ.
 */
export async function otherBeginning(
  context: Context,
  lifecycle: Lifecycle,
  leader: Upstream,
  { timeline, history }: Lineage,
  by: Deadline,
): Promise<Lsn | undefined> {
  const switchLsn = history.findLast(line => line.timeline < timeline)?.switchLsn
  const control = switchLsn === undefined ? undefined : await lifecycle.controlFile(by)
  if (switchLsn === undefined || control === undefined) return undefined
  const offset = headerAfter(switchLsn, BigInt(control.blockBytes), control.walSegmentBytes)
  if (offset === undefined) return undefined
  const file = `pg_wal/${segmentName(timeline, switchLsn, control.walSegmentBytes)}`
  const [ours, theirs] = await Promise.all([
    context.data.readHex(file, offset, RECORD_HEADER_BYTES, by),
    headerOf(context, leader, file, offset, by),
  ])
  const isKnown = [ours, theirs].every(header => header !== undefined && /[1-9a-f]/.test(header))
  return isKnown && ours !== theirs ? switchLsn : undefined
}

async function headerOf(
  context: Context,
  leader: Upstream,
  file: string,
  offset: number,
  by: Deadline,
): Promise<string | undefined> {
  const target = context.remote(leader.address, context.config.postgres.rewind, false)
  const sql = `SELECT encode(pg_read_binary_file('${file}', ${offset}, ${RECORD_HEADER_BYTES}, true), 'hex') AS header`
  const [row] = await withConnection(target, by, connection => connection.query(sql, by))
  return row?.['header'] ?? undefined
}
