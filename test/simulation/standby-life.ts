// What a standby cluster lives through when the faults are over: it is promoted and takes writes, and is demoted again.

import { Violation } from './checks/violation.ts'
import { REMOTE_ADDRESS } from './remote-site.ts'
import type { World } from './world.ts'

const CHANGE_MS = 60_000
const WRITES_MS = 40_000
/** Every server has to be rewound, some after a rewind that failed. */
const WELL_MS = 180_000

/** The section that makes a world's cluster follow the other site. */
export const standbySection = { host: REMOTE_ADDRESS.host, port: REMOTE_ADDRESS.port }

/** Promotes the cluster, waits for writes, and demotes it again. Throws a Violation where it is stuck. */
export async function liveOn(world: World): Promise<void> {
  if (world.safety.acknowledged.length > 0)
    throw new Violation('standby-cluster-acknowledged', `${world.safety.acknowledged.length} rows`)
  world.isStandby = false
  world.changeConfig({ standby_cluster: null })
  await world.untilWell(CHANGE_MS, 'the promoted cluster')
  await world.untilWritten(WRITES_MS)
  world.isStandby = true
  world.changeConfig({ standby_cluster: standbySection })
  await world.untilWell(WELL_MS, 'the demoted cluster')
  world.counts.add('standby clusters promoted and demoted')
}
