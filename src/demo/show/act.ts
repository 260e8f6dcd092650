// One act of the demo: a fault, the failover that follows, the client's waiting time, the cure, a whole cluster again.

import { readFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../cluster.ts'
import type { Member } from '../member.ts'
import { waitFor } from '../wait.ts'
import type { Fault } from './faults.ts'
import type { Load } from './load.ts'
import { askProxy, failoverSince, latestEventId, type ProxyEvent } from './proxies.ts'
import { type Tell, unlessEnded } from './stage.ts'
import { seconds } from './words.ts'

/** Who takes part. */
export interface Scene {
  readonly cluster: Cluster
  readonly load: Load
  readonly tell: Tell
  readonly signal: AbortSignal
}

/** What came of it. */
export interface ActReport {
  readonly from: string
  readonly to: string
  /** The proxy's line. */
  readonly failoverLine: string
  /** Until the slower of the writers was served again, counted from its last row before. */
  readonly firstWriteMs: number
}

const FAILOVER_WITHIN_MS = 90_000
const WRITES_WITHIN_MS = 30_000
const WHOLE_WITHIN_MS = 90_000
const LATE_MS = 2_000
const PAUSE_BEFORE_CURE_MS = 3_000
const READY_WITHIN_MS = 10_000

/**
 * Performs the whole act. Each step is told as it happens. Rejects with a sentence for people when the cluster does not
 * recover in time; the cure is given all the same.
 */
export async function perform(fault: Fault, scene: Scene): Promise<ActReport> {
  const { cluster, tell, signal } = scene
  const leader = await cluster.leader({ withinMs: READY_WITHIN_MS })
  const eventsBefore = await eventCount(leader)
  const name = (says: string) => says.replaceAll('NAME', leader.name)
  tell(name(fault.says))
  try {
    return await strike(fault, leader, scene)
  } finally {
    if (fault.cure !== undefined && !signal.aborted) {
      await sleep(PAUSE_BEFORE_CURE_MS, undefined, { signal }).catch(() => {})
      if (!signal.aborted) {
        tell(name(fault.cure.says))
        await fault.cure.heal(leader)
      }
    }
    if (!signal.aborted) await whole(leader, eventsBefore, scene)
  }
}

async function strike(fault: Fault, leader: Member, scene: Scene): Promise<ActReport> {
  const { cluster, load, tell, signal } = scene
  const before = await Promise.all(cluster.proxies.map(proxy => askProxy(proxy)))
  const startedMs = performance.now()
  const striking = fault.strike(leader)
  // The order may be answered long after the failover; whoever waits for it below is told of its failure.
  striking.catch(() => {})
  const failover = await Promise.race([
    waitForFailover(scene, before.map(latestEventId)),
    striking.then(() => new Promise<never>(() => {})),
  ])
  const routedMs = performance.now()
  const served = waitFor(
    'every writer to be served',
    { withinMs: WRITES_WITHIN_MS, everyMs: 10, signal },
    () => load.hasWrittenSince(routedMs),
  )
  const isLate = await Promise.race([served, sleep(LATE_MS, 'late' as const)])
  // The route alone serves nobody: with one replica left, commits wait until another one confirms them.
  if (isLate === 'late') tell(`${failover.says}; the writers still wait`)
  await served
  const firstWriteMs = load.longestGapMs(startedMs)
  const first = `first write ${seconds(firstWriteMs)} later`
  tell(isLate === 'late' ? first : `${failover.says}; ${first}`)
  await striking
  const to = String(failover.facts['to'])
  return { from: leader.name, to, failoverLine: failover.says, firstWriteMs }
}

/** The first proxy's word, or another's when that one does not report. */
function waitForFailover({ cluster, signal }: Scene, sinceIds: readonly number[]): Promise<ProxyEvent> {
  const limits = { withinMs: FAILOVER_WITHIN_MS, everyMs: 50, signal }
  return waitFor('a failover', limits, async note => {
    for (const [index, proxy] of cluster.proxies.entries()) {
      const status = await askProxy(proxy, signal)
      note(status.waiting_because ?? 'writes are routed')
      const found = failoverSince(status, sinceIds[index] ?? 0)
      if (found !== undefined) return found
    }
    return undefined
  })
}

async function whole(old: Member, eventsBefore: number, { cluster, tell }: Scene): Promise<void> {
  // The cluster would be called complete without a member whose agent does not run.
  await unlessEnded([old], ended => cluster.complete(WHOLE_WITHIN_MS, ended))
  // The decision to rewind has the same kind; what was discarded is known at its end.
  const rewind = (await events(old)).slice(eventsBefore).find(({ says }) => says.startsWith('rewind: '))
  const how = rewind === undefined ? '' : ` (${rewind.says})`
  tell(`${old.name} is back as a replica${how}; the cluster is whole again`)
}

interface AgentEvent {
  readonly kind: string
  readonly says: string
}

/** The member's own record of what happened, which its agent keeps beside the data directory. */
async function events(member: Member): Promise<readonly AgentEvent[]> {
  const text = await readFile(`${member.dataDir}.events.jsonl`, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter(line => line.endsWith('}'))
    .map(line => JSON.parse(line) as AgentEvent)
}

async function eventCount(member: Member): Promise<number> {
  return (await events(member)).length
}
