// Statements that take long, one on the leader's own port and one through a proxy, each of which would commit a row.

import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { queryOnce } from '../../src/demo/sql.ts'
import { waitFor } from '../../src/demo/wait.ts'

/** The statements under way. */
export interface BusyStatements {
  /** When each that was acknowledged was so; waits until all have ended. */
  acknowledgedMs(): Promise<readonly number[]>
}

/** Starts the statements and resolves when both run. */
export async function startBusyStatements(
  cluster: Cluster,
  leader: Member,
  durationSeconds: number,
): Promise<BusyStatements> {
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  await leader.query('CREATE TABLE IF NOT EXISTS busy (id int)')
  const sql = `INSERT INTO busy SELECT 1 FROM pg_sleep(${durationSeconds})`
  const answers = [leader.direct, proxy.write].map(target =>
    queryOnce(target, sql, [], durationSeconds * 1000 + 20_000).then(
      () => [performance.now()],
      () => [],
    ),
  )
  await waitFor('both statements to run', { withinMs: 5_000, everyMs: 20 }, async note => {
    const [row] = await leader.query<{ count: number }>(
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    )
    note(`${row?.count} run`)
    return row?.count === answers.length
  })
  return { acknowledgedMs: async () => (await Promise.all(answers)).flat() }
}
