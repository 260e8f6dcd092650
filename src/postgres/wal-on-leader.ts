// Has the leader still the WAL that our standby needs? Asked as the standby's own receiver asks, because that alone is the
// whole truth: slots, wal_keep_size and what a checkpoint removed.

import { formatLsn, type Lsn, type Timeline } from '../cluster/lsn.ts'
import type { Deadline } from '../platform/deadline.ts'
import { sqlStateOf, withConnection } from './connection.ts'
import type { Context } from './context.ts'
import type { Monitor } from './monitor.ts'
import type { Upstream, WalOnLeader } from './port.ts'
import { hasServer, located } from './upstream.ts'

/** A leader that has the file begins to send and says nothing else; one that has not refuses at once. */
const SENDS_AFTER_MS = 500
/** The file of the segment does not exist. */
const UNDEFINED_FILE = '58P01'
/** A startup process that waits for WAL, from nobody or from its receiver. */
const WAITS = ['RecoveryRetrieveRetryInterval', 'RecoveryWalStream', 'RecoveryWalAll']

/** As Postgres.walOnLeader. */
export async function walOnLeader(
  context: Context,
  monitor: Monitor,
  leader: Upstream,
  need: { readonly from: Lsn; readonly timeline: Timeline },
  by: Deadline,
): Promise<WalOnLeader> {
  try {
    if (!hasServer(leader)) return 'unknown'
    // A replay that a query holds up, or that still has files of its own, lacks nothing.
    if (!(await isWaitingForWal(monitor, by))) return 'unknown'
    return await askToSend(context, await located(context, leader, by), need, by)
  } catch {
    return 'unknown'
  }
}

async function isWaitingForWal(monitor: Monitor, by: Deadline): Promise<boolean> {
  const sql = "SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'"
  return WAITS.includes((await monitor.query(sql, by))[0]?.['wait_event'] ?? '')
}

async function askToSend(
  context: Context,
  leader: Upstream,
  { from, timeline }: { readonly from: Lsn; readonly timeline: Timeline },
  by: Deadline,
): Promise<WalOnLeader> {
  const target = context.remote(leader.address, context.config.postgres.replication, true)
  return await withConnection(target, by, async walsender => {
    const until = by.within(SENDS_AFTER_MS)
    const sql = `START_REPLICATION PHYSICAL ${formatLsn(from)} TIMELINE ${timeline}`
    const state = await walsender.query(sql, until).then(
      () => undefined,
      (error: unknown) => sqlStateOf(error) ?? (until.isOver() ? 'sends' : undefined),
    )
    return state === 'sends' ? 'there' : state === UNDEFINED_FILE ? 'gone' : 'unknown'
  })
}
