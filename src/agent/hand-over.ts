// A leader's long work on its server does not come to an end: if somebody else can serve, the key goes to them.

import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { demote } from './demote.ts'
import { anybody, findHeirs, heirsToAsk } from './rules/heirs.ts'
import type { MemoryUpdate } from './tasks.ts'
import type { WorkContext } from './work.ts'

const PEERS_MS = 2_000

/**
 * Demotes at once and releases the key if another member can take over from `position`, which is told as `event`. Undefined
 * when nobody can, or nobody could be asked.
 */
export async function giveWay(
  context: WorkContext,
  position: bigint | undefined,
  event: { readonly kind: string; readonly says: string },
): Promise<MemoryUpdate | undefined> {
  const { parts, state } = context
  const view = state.lastView
  // While the cluster is paused nobody would take the key.
  if (view === undefined || state.config.isPaused) return undefined
  const { config } = state
  const request = anybody(parts.local.name)
  const urls = heirsToAsk({ config, self: parts.local }, view, request)
  try {
    const peers = await parts.askPeers(urls, Deadline.in(parts.clock, PEERS_MS))
    // A server that was down before has told nothing: what it published last counts.
    const optime = position ?? view.status.optime
    const known = { ...view, status: { ...view.status, optime } }
    if ('obstacle' in findHeirs({ config }, known, request, undefined, peers)) return undefined
    parts.events.record(event)
    return await demote(context, { mode: 'immediate', release: true, heirs: undefined })
  } catch (error) {
    parts.log.warning(`handing over: ${messageOf(error)}`)
    return undefined
  }
}
