// A synchronous standby that is about to stop says so first, and waits until commits do not wait for it any more.

import { isInSync } from '../cluster/sync.ts'
import type { ClusterView } from '../cluster/view.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import type { AgentParts } from './parts.ts'
import type { AgentState } from './state.ts'
import type { Upkeep } from './upkeep.ts'

const POLL_MS = 100
const WAITED_TURNS = 2

/**
 * Returns when the sync key does not name us, or after two turns of the leader: then its commits wait until it has seen us
 * go. Nothing happens on a member that it does not name. Never rejects; `signal` ends the wait. The member key says `nosync`
 * until `state.isLeavingSync` is taken back.
 */
export async function leaveSync(
  parts: AgentParts,
  state: AgentState,
  upkeep: Pick<Upkeep, 'touchMember'>,
  signal?: AbortSignal,
): Promise<void> {
  if (!isNamed(state.view, parts.local.name)) return
  const { clock, dcs, log } = parts
  log.info('leaving the synchronous standbys before the server stops')
  state.isLeavingSync = true
  const by = Deadline.in(clock, WAITED_TURNS * state.config.loopWaitSeconds * 1000)
  try {
    await upkeep.touchMember()
    while (!by.isOver()) {
      if (!isNamed(await dcs.read(by), parts.local.name)) return
      await clock.sleep(POLL_MS, signal)
    }
    log.warning(
      'still named as a synchronous standby: commits wait until the leader sees that this server is gone',
    )
  } catch (error) {
    log.warning(`could not leave the synchronous standbys: ${messageOf(error)}`)
  }
}

function isNamed(view: ClusterView | undefined, me: string): boolean {
  const sync = view?.sync?.value
  return sync !== undefined && isInSync({ ...sync, leader: undefined }, me)
}
