// Says in words why a server takes sessions or does not: for clients that wait, and for operators who ask. Pure.

import { isTagged } from '../cluster/member.ts'
import { isInSync } from '../cluster/sync.ts'
import { type MemberHealth, primaryVerdict, unknownHealth } from '../health/verdict.ts'
import { isNearEnough, type Lag } from './lag.ts'
import { hasTags, type PoolSpec, serverOf } from './pool-members.ts'
import { askedSince, type Evidence } from './route.ts'

/** Why a member is not in a pool of reads, or that it is. */
export function explainRead(name: string, pool: PoolSpec, evidence: Evidence): string {
  if (evidence.previous.pools.get(pool.name)?.includes(name) === true) return 'takes sessions'
  const server = serverOf(pool, name, evidence.members)
  if (server?.isDisabled === true) return 'is disabled or has weight 0'
  const rests = evidence.previous.rests.get(pool.name)?.includes(name) === true
  if (rests && server?.isBackup === true) return 'is a backup, for when no other server is up'
  if (rests) return 'answers its check with code 404: it keeps its sessions and gets no new ones'
  if (pool.kind === 'servers') return explainCheck(evidence.checks.get(pool.name)?.get(name))
  const health = evidence.health.get(name) ?? unknownHealth
  const isLeader = evidence.leadership.hasKey && evidence.leadership.epoch?.member === name
  if (isLeader && pool.kind === 'replica') return 'holds the leader key'
  return explainHealth(health, evidence.nowMs) ?? explainFilter(name, health, pool, evidence)
}

function explainCheck(health: MemberHealth | undefined): string {
  if (health === undefined) return 'has not been checked yet'
  if (health.silence !== undefined) return `does not answer its check: ${health.silence}`
  return `answers its check with code ${health.answer?.statusCode ?? 'none'}`
}

function explainHealth(health: MemberHealth, nowMs: number): string | undefined {
  const { answer, silence, unsureSinceMs, counter, avoidUntilMs, refusals } = health
  if (answer === undefined)
    return silence === undefined ? 'has not answered yet' : `does not answer: ${silence}`
  if (nowMs < avoidUntilMs) {
    return `refused ${refusals} connections: it is left alone for ${seconds(avoidUntilMs - nowMs)}`
  }
  if (!counter.isUp && unsureSinceMs !== undefined && silence === undefined)
    return 'its server does not answer its agent'
  if (!counter.isUp)
    return silence === undefined ? `its server is ${answer.state}` : `does not answer: ${silence}`
  if (answer.state !== 'running') return `its server is ${answer.state}`
  return undefined
}

function explainFilter(name: string, { answer }: MemberHealth, pool: PoolSpec, evidence: Evidence): string {
  const { filter } = pool
  const kept = evidence.members.get(name)?.tags ?? {}
  const told = answer?.tags ?? {}
  if (answer?.role !== 'replica' && pool.kind !== 'standby-leader')
    return `is a ${answer?.role ?? 'stranger'}`
  if (isTagged(told, 'noloadbalance') || isTagged(kept, 'noloadbalance')) return 'has the tag noloadbalance'
  const missing = Object.entries(filter.tags).find(one => !hasTags([one], told, kept))
  if (missing !== undefined) return `has not the tag ${missing[0]}: ${missing[1]}`
  if (filter.streamingOnly && answer?.replicationState !== 'streaming') {
    return `does not stream from the leader (${answer?.replicationState ?? 'not told'})`
  }
  const isSync = evidence.sync === undefined ? answer?.isSync === true : isInSync(evidence.sync, name)
  if (filter.sync !== 'any' && isSync !== (filter.sync === 'sync')) {
    return isSync ? 'confirms commits' : 'does not confirm commits'
  }
  const lag = evidence.lags.get(name)
  if (!isNearEnough(lag, filter, false)) return tellLag(lag)
  return 'is about to take sessions'
}

function tellLag(lag: Lag | undefined): string {
  return lag === undefined ? 'its lag is not known' : `is behind by ${lag.bytes} bytes and ${seconds(lag.ms)}`
}

/** Why a member takes write sessions or does not, with each piece of evidence and its deadline. */
export function explainWrite(name: string, evidence: Evidence): readonly string[] {
  const { leadership, health, nowMs, pings } = evidence
  const { epoch, hasKey, leaseUntilMs, seenAtMs } = leadership
  const own = health.get(name) ?? unknownHealth
  const lines: string[] = []
  const isHolder = epoch?.member === name
  if (!isHolder) lines.push(epoch === undefined ? 'nobody has led yet' : `the leader is ${epoch.member}`)
  else
    lines.push(
      hasKey ? `holds the leader key since revision ${epoch.createRevision}` : 'its leader key is gone',
    )
  if (isHolder) lines.push(`lease: ${left(leaseUntilMs, nowMs)}`)
  lines.push(`its own answers: ${left(own.leadsUntilMs, nowMs)}`)
  lines.push(`its server, by its own word in this epoch: ${primaryVerdict(own, isHolder ? seenAtMs : 0)}`)
  const ping = pings.get(name)
  if (ping !== undefined)
    lines.push(
      `a ping ${seconds(nowMs - ping.sentAtMs)} ago: ${ping.answer}${isHolder && ping.sentAtMs < askedSince(evidence, name) ? ' (too old to count)' : ''}`,
    )
  if (own.silence !== undefined) lines.push(`REST is silent: ${own.silence}`)
  if (own.unsureSinceMs !== undefined)
    lines.push(`its agent gets no answer from its server since ${seconds(nowMs - own.unsureSinceMs)}`)
  if (own.refusals > 0) lines.push(`${own.refusals} connections failed since the last good one`)
  if (isHolder && evidence.isClosing) lines.push('a change of leader has been asked for')
  return lines
}

function left(untilMs: number, nowMs: number): string {
  if (untilMs === Number.NEGATIVE_INFINITY) return 'prove nothing'
  return untilMs > nowMs ? `good for ${seconds(untilMs - nowMs)}` : `ended ${seconds(nowMs - untilMs)} ago`
}

/** For a client of a pool of reads that gets no server. */
export function tellPool(pool: PoolSpec, evidence: Evidence): string {
  const names =
    pool.kind === 'servers' ? pool.servers.map(({ name }) => name) : [...evidence.members.keys()].sort()
  const reasons = names.map(name => `${name} ${explainRead(name, pool, evidence)}`)
  return `no server takes sessions of ${pool.name}: ${reasons.length === 0 ? 'no member is known' : reasons.join('; ')}`
}

function seconds(durationMs: number): string {
  return `${(Math.max(0, durationMs) / 1000).toFixed(1)} s`
}
