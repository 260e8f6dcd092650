// Whether this member is one of those that confirm commits, as the `sync` key says. Pure.

import { isQuorumMode } from '../cluster/summary.ts'
import { isInSync } from '../cluster/sync.ts'
import type { AgentStatus } from './agent-port.ts'

/** A replica that is listed as synchronous standby. */
export function isSyncStandby(status: AgentStatus): boolean {
  return isListed(status) && !isQuorumMode(status.config.raw)
}

/** A replica that is listed as a voter in quorum mode. */
export function isQuorumStandby(status: AgentStatus): boolean {
  return isListed(status) && isQuorumMode(status.config.raw)
}

function isListed(status: AgentStatus): boolean {
  const sync = status.view?.sync?.value
  return (
    status.role === 'replica' && sync !== undefined && isInSync({ ...sync, leader: undefined }, status.name)
  )
}
