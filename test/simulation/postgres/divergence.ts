// Histories compared and mended, by what a real server could see: timelines, positions, the control file.

import { laterLsn } from '../../../src/cluster/lsn.ts'
import { forkPoint } from '../../../src/postgres/fork-point.ts'
import type { Divergence } from '../../../src/postgres/port.ts'
import type { DataDirectory, WalRecord } from './data-directory.ts'
import type { SimServer } from './server.ts'

/** As src/postgres/divergence.ts decides, from the same facts. */
export function compareHistories(own: DataDirectory, theirs: DataDirectory): Divergence {
  const fork = forkPoint(own.lineage, theirs.lineage)
  if (fork === undefined) return otherBeginning(own, theirs) ?? { kind: 'none' }
  const other = fork.timeline === own.timeline ? otherBeginning(own, theirs) : undefined
  if (other !== undefined) return other
  const diverged: Divergence = {
    kind: 'diverged',
    at: fork.lsn,
    localEnd: laterLsn(own.endLsn, fork.lsn),
  }
  if (own.control === 'shut down') {
    return own.timeline === fork.timeline && own.endLsn === fork.lsn ? { kind: 'none' } : diverged
  }
  if (own.timeline !== fork.timeline) return diverged
  return own.endLsn > fork.lsn ? diverged : { kind: 'none' }
}

/** Two promotions from one position give timelines of one number: their first records tell them apart. */
function otherBeginning(own: DataDirectory, theirs: DataDirectory): Divergence | undefined {
  const [ours, other] = [own, theirs].map(({ wal }) => wal.find(record => record.timeline === own.timeline))
  if (ours === other || ours === undefined || other === undefined) return undefined
  const at = own.wal[ours.index - 1]?.end ?? 0
  return { kind: 'diverged', at: BigInt(at), localEnd: own.endLsn }
}

/**
 * What pg_rewind makes of `own`: the leader's files, to be replayed up to its present end. The leader's WAL is among them as
 * it was when the copy began, `copied` records of it, and at least the beginning of its timeline: by it the server knows which
 * history is its own, and takes nothing from an upstream that is still on the older one. Returns what is gone.
 */
export function rewindOnto(
  server: SimServer,
  own: DataDirectory,
  theirs: DataDirectory,
  copied: number,
): readonly WalRecord[] {
  const common = own.commonWith(theirs)
  const discarded = own.wal.splice(common)
  const begin = theirs.wal.findIndex(record => record.timeline === theirs.timeline)
  own.wal.push(...theirs.wal.slice(common, Math.max(copied, begin + 1)))
  own.takeTimelineOf(theirs)
  own.consistentAt = theirs.end
  own.control = 'in archive recovery'
  own.isBroken = false
  server.upstream = undefined
  return discarded
}
