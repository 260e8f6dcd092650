// A standby whose primary came back with larger values of the parameters that both must share: from PostgreSQL 14 on its
// replay stands still, without a word to its clients, until somebody restarts it.

import type { Deadline } from '../platform/deadline.ts'
import type { Context } from './context.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Monitor } from './monitor.ts'

/** As Postgres.endStarvedReplay. Ask only while the replay is paused. */
export async function endStarvedReplay(
  context: Context,
  lifecycle: Lifecycle,
  monitor: Monitor,
  by: Deadline,
): Promise<boolean> {
  const wanted = (await lifecycle.controlFile(by))?.primarySettings ?? {}
  const rows = await monitor.query(
    `SELECT name, setting FROM pg_settings WHERE name IN (${quoted(wanted)})`,
    by,
  )
  const starved = rows.flatMap(({ name, setting }) => {
    const minimum = wanted[name ?? ''] ?? 0
    return Number(setting) < minimum ? [`${name} = ${setting}, the primary ${minimum}`] : []
  })
  if (starved.length === 0) return false
  context.log.warning(
    `replay stands still because this server has ${starved.join('; ')}: it ends now, to start with the larger values`,
  )
  // PostgreSQL then ends in order: the replay may not go on with these values.
  await monitor.query('SELECT pg_wal_replay_resume()', by)
  return true
}

function quoted(settings: Readonly<Record<string, number>>): string {
  return Object.keys(settings)
    .map(name => `'${name}'`)
    .join(', ')
}
