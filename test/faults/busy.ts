// Statements that take long, one on the leader's own port and one through a proxy, each of which would commit a row.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'

/** Long enough that both still run for some seconds when they have been seen to. */
const DURATION_MS = 10_000
const SEEN_WITHIN_MS = 5_000

/** The statements under way. */
export interface BusyStatements {
  /** When each that was acknowledged was so; waits until all have ended. */
  acknowledgedMs(): Promise<readonly number[]>
}

/** Starts the statements, of 10 s each, and resolves when both run. They run for 5 s more at least. */
export async function startBusyStatements(cluster: Cluster, leader: Member): Promise<BusyStatements> {
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  await leader.query('CREATE TABLE IF NOT EXISTS busy (id int)')
  const sql = `INSERT INTO busy SELECT 1 FROM pg_sleep(${DURATION_MS / 1000})`
  const answers = [leader.direct, proxy.write].map(target =>
    queryOnce(target, sql, [], DURATION_MS + 20_000).then(
      () => [performance.now()],
      () => [],
    ),
  )
  await waitFor('both statements to run', { withinMs: SEEN_WITHIN_MS, everyMs: 20 }, async note => {
    const [row] = await leader.look<{ count: number }>(
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    )
    note(`${row?.count} run`)
    return row?.count === answers.length
  })
  return { acknowledgedMs: async () => (await Promise.all(answers)).flat() }
}
