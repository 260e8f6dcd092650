// A leader whose server serves nobody gives way, if somebody else can take over, or if it is asked to.

import type { Action, Decision, Rule } from '../decision.ts'
import type { Memory, Snapshot } from '../snapshot.ts'
import { anybody, findHeirs, heirsToAsk } from './heirs.ts'
import { RESTARTS_MAX } from './recover.ts'
import { beginRequest, dueRequest, refuse } from './requests.ts'
import { askHeirs, isDeaf, isStorageHung, say } from './say.ts'

const CRASH_WINDOW_MS = 60_000

/**
 * Stands before the rule of the running task, because a start may last for ever. Without an heir it says nothing: what
 * we have is all there is. Only a request that was made while the server starts gets an answer in any case.
 */
export const leaderGivesWay: Rule = (snapshot, memory) => {
  const { lease, view, config, task, peers, self } = snapshot
  if (lease.hold === undefined || view === undefined || config.isPaused) return undefined
  if (task !== undefined && task.kind !== 'start') return undefined
  const due = isStarting(snapshot) ? dueRequest(snapshot, view) : undefined
  if (due?.kind === 'refuse') return refuse(due.why, memory)
  if (due?.request.scheduledAt !== undefined) return beginRequest(due.request, memory)
  const why = due === undefined ? whyGiveWay(snapshot, memory) : ASKED_WHILE_STARTING
  if (why === undefined) return undefined
  const request = due?.request ?? anybody(self.name)
  if (peers === undefined) {
    const asked = heirsToAsk(snapshot, view, request)
    if (asked.size === 0 && due === undefined) return undefined
    return askHeirs(why, asked, memory)
  }
  const heirs = findHeirs(snapshot, view, request, undefined, peers)
  if (!('obstacle' in heirs)) return giveWay(snapshot, why, memory)
  return due === undefined ? undefined : refuse(heirs.obstacle, memory)
}

const ASKED_WHILE_STARTING = 'a failover is asked for while my server is starting'

function isStarting({ server, task }: Snapshot): boolean {
  return task !== undefined || server.process === 'starting'
}

function giveWay({ server, task }: Snapshot, why: string, memory: Memory): Decision {
  const demotion = { mode: 'immediate', release: true, heirs: undefined } as const
  const actions: Action[] = []
  if (task !== undefined) actions.push({ kind: 'cancel-task' })
  const isGone = server.process === 'stopped' && task === undefined
  actions.push(isGone ? { kind: 'release-leader' } : { kind: 'demote', demotion })
  return say(
    'give-way',
    `giving the lead away: ${why}`,
    { ...memory, role: 'demoted', restartsAtMs: [] },
    ...actions,
  )
}

function whyGiveWay(snapshot: Snapshot, memory: Memory): string | undefined {
  const { server, silentMs, config, nowMs } = snapshot
  const startTimeoutMs = config.primaryStartTimeoutSeconds * 1000
  if (isStarting(snapshot)) {
    return silentMs > startTimeoutMs
      ? 'primary_start_timeout is over and the server does not answer'
      : undefined
  }
  if (server.process === 'stopped' && memory.role === 'primary') {
    if (startTimeoutMs === 0) return 'the server is down and primary_start_timeout is 0'
    const [earliest] = memory.restartsAtMs
    const isLoop = memory.restartsAtMs.length >= RESTARTS_MAX && nowMs - (earliest ?? 0) < CRASH_WINDOW_MS
    return isLoop ? `the server was started in place ${RESTARTS_MAX} times within a minute` : undefined
  }
  // A server that is slow or full answers with an error; one that says nothing for a whole lease serves nobody. Where its
  // storage hangs too, not even its processes can be told.
  if (isDeaf({ server, config })) return 'the server hangs: it answers no new connection'
  if (isStorageHung({ server, config })) return 'the storage of the server hangs: it takes no write'
  const isHung = server.process !== 'stopped' && !server.isAnswering
  if (!isHung || silentMs <= config.ttlSeconds * 1000) return undefined
  return server.process === 'unknown' ? 'the storage of the server hangs' : 'the server hangs'
}
