// Turns a standby into a primary and waits until it takes writes.

import type { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { Context } from './context.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Monitor } from './monitor.ts'

const POLL_MS = 20
const PROMOTED_SQL = 'SELECT pg_is_in_recovery() AS standby'
/** Does not wait: pg_promote(true) would look only every 100 ms. */
const PROMOTE_SQL = 'SELECT pg_promote(false)'

/**
 * Asks for promotion and waits until the server has left recovery. The request goes over the kept connection; when that
 * fails, by the signal file and SIGUSR1, as pg_ctl does it. False when the server is gone, and at the deadline: then it may
 * still be promoted later.
 */
export async function promote(
  context: Context,
  lifecycle: Lifecycle,
  monitor: Monitor,
  by: Deadline,
): Promise<boolean> {
  try {
    await monitor.query(PROMOTE_SQL, by)
  } catch (error) {
    context.log.debug(`pg_promote() did not answer (${messageOf(error)}): promoting by the signal file`)
    await context.data.write('promote', '', by)
    lifecycle.signalPromotion()
  }
  while (!by.isOver()) {
    if (await hasLeftRecovery(lifecycle, monitor, by)) return true
    if (!(await lifecycle.isAlive())) return false
    await context.clock.sleep(POLL_MS)
  }
  return false
}

async function hasLeftRecovery(lifecycle: Lifecycle, monitor: Monitor, by: Deadline): Promise<boolean> {
  try {
    const [row] = await monitor.query(PROMOTED_SQL, by)
    return row?.['standby'] === 'f'
  } catch {
    // The control file says it too, a moment later.
    return (await lifecycle.controlFile(by))?.state === 'in production'
  }
}
