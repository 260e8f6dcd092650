// Stops our server, and tells as early as it is true that nothing can be written any more.

import type { Lsn } from '../cluster/lsn.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Context } from './context.ts'
import type { ControlFile } from './control-data.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { StopOptions, StopResult } from './port.ts'
import { statOf } from './procfs.ts'

const POLL_MS = 20
const LOOK_MS = 5000
const CONTROL_MS = 2000
/** While a stop lasts, the control file is read this often when no better sign is known. */
const CONTROL_POLL_MS = 250

/**
 * As Postgres.stop, after the checkpoint. `checkpointerPid` is the process whose end shows (below 18) that the shutdown
 * checkpoint is written: waiting for it costs no look at the data directory.
 */
export async function stopServer(
  context: Context,
  lifecycle: Lifecycle,
  options: StopOptions,
  checkpointerPid: number | undefined,
): Promise<StopResult> {
  await lifecycle.look(options.by.within(LOOK_MS))
  if (lifecycle.pid !== undefined) {
    lifecycle.signalPostmaster(options.mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await awaitEnd(context, lifecycle, options, checkpointerPid)
  }
  const stopped = await lifecycle.endFamily()
  const control = stopped ? await lifecycle.controlFile(Deadline.in(context.clock, CONTROL_MS)) : undefined
  return { stopped, shutdownCheckpointLsn: shutdownLsn(control) }
}

/** Returns when the postmaster is gone or the deadline has passed. */
async function awaitEnd(
  context: Context,
  lifecycle: Lifecycle,
  options: StopOptions,
  checkpointerPid: number | undefined,
): Promise<void> {
  const { clock } = context
  const tell = async (): Promise<boolean> => {
    const lsn = shutdownLsn(await lifecycle.controlFile(Deadline.in(clock, CONTROL_MS)))
    if (lsn !== undefined) options.onShutDown?.(lsn)
    return lsn !== undefined
  }
  let writer = checkpointerPid
  let isTold = options.onShutDown === undefined || options.mode === 'immediate'
  let nextReadMs = clock.monotonicMs() + CONTROL_POLL_MS
  while (await lifecycle.isAlive()) {
    if (options.by.isOver()) return
    await clock.sleep(POLL_MS)
    if (isTold) continue
    const isWritten = writer !== undefined && (await statOf(writer)) === undefined
    if (!isWritten && clock.monotonicMs() < nextReadMs) continue
    if (isWritten) writer = undefined
    nextReadMs = clock.monotonicMs() + CONTROL_POLL_MS
    isTold = await tell()
  }
  if (!isTold) await tell()
}

function shutdownLsn(control: ControlFile | undefined): Lsn | undefined {
  return control?.state === 'shut down' ? control.checkpointLsn : undefined
}
