// Our server's storage refuses writes: it is full, read-only or lost. PostgreSQL goes on reading and fails each write until it
// cannot write WAL and ends itself, so a leader need not hurry: it hands over in order, where somebody can write.
//
// In a synchronous mode alone: a full disk does not take the shutdown checkpoint (it needs new files), so nothing would prove
// that another one has received everything, and the server would be stopped and started again for nothing.

import type { ClusterView } from '../../cluster/view.ts'
import type { ServerFacts } from '../../postgres/port.ts'
import type { Decision } from '../decision.ts'
import { syncPromise } from '../race.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { anybody, findHeirs, heirsToAsk } from './heirs.ts'
import { askHeirs, say } from './say.ts'

/** A hand-over that nobody could take stops the server and starts it again: readers must not pay for that all the time. */
const AGAIN_AFTER_MS = 600_000

/**
 * After `hung_after` of refusals the lead goes, as in a switchover, to a synchronous standby that streams from us and whose own
 * storage takes writes. Without one it says nothing: readers are served here.
 */
export function handOverStorage(
  snapshot: Snapshot,
  view: ClusterView,
  facts: ServerFacts,
  memory: Memory,
): Decision | undefined {
  const { config, nowMs, peers, self, server } = snapshot
  const { refusal, refusedMs } = server.storage ?? {}
  if (refusal === undefined || config.isPaused || config.hungAfterSeconds === 0) return undefined
  if (syncPromise(config, view) === undefined) return undefined
  if ((refusedMs ?? 0) <= config.hungAfterSeconds * 1000) return undefined
  if (nowMs - (memory.handedOverAtMs ?? Number.NEGATIVE_INFINITY) < AGAIN_AFTER_MS) return undefined
  const why = `the storage of the server refuses writes: ${refusal}`
  const request = anybody(self.name)
  if (peers === undefined) {
    const asked = heirsToAsk(snapshot, view, request)
    if (asked.size === 0) return undefined
    return askHeirs(why, asked, memory)
  }
  const heirs = findHeirs(snapshot, view, request, facts, peers)
  if ('obstacle' in heirs) return undefined
  return say(
    'hand-over-storage',
    `handing the lead over: ${why}`,
    { ...memory, role: 'demoted', handedOverAtMs: nowMs },
    { kind: 'demote', demotion: { mode: 'graceful', release: true, heirs: heirs.names } },
  )
}
