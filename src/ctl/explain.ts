// `explain`: who would lead if a member died now, what would be lost, and why the cluster is as it is.

import { asText, isObject, parseJsonObject } from '../cluster/json.ts'
import { type Member, mayLead } from '../cluster/member.ts'
import { isStandbyCluster } from '../cluster/summary.ts'
import { isInSync } from '../cluster/sync.ts'
import type { ClusterView } from '../cluster/view.ts'
import { dynamicConfig } from '../config/agent/dynamic.ts'
import type { DynamicConfig } from '../config/agent/types.ts'
import { membersOf } from './choose.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { callMember } from './member-call.ts'

const ASK_MS = 2_000
/** From the end of the lease to the first write, measured; the lease itself is what takes long. */
const TAKE_OVER_SECONDS = 1
const SHORT_MEMBERS = 3

/** Prints the answers, most important first. */
export async function explain(context: CtlContext, name: string | undefined): Promise<void> {
  const scope = scopeOf(context, name)
  const view = await readCluster(context, scope)
  const everyoneIsPgherd = [...view.members.values()].every(({ pgherd }) => pgherd !== undefined)
  const config = dynamicConfig(view.config?.value, everyoneIsPgherd)
  const { terminal } = context
  terminal.print(`${[...stateSentences(view, config), ...ifLeaderDied(view, config)].join('\n')}\n`)
  for (const member of membersOf(view, 'any')) {
    terminal.print(`${member.name}: ${await wordsOf(context, member)}\n`)
  }
}

/** What each member says of itself; what its key says when it does not answer. */
async function wordsOf(context: CtlContext, member: Member): Promise<string> {
  const { code, text } = await callMember(context, member, 'GET', 'patroni', undefined, ASK_MS)
  const document = code === 0 ? undefined : parseJsonObject(text)
  if (document === undefined) return `does not answer; its key says ${member.role}, ${member.state}`
  const own = document['pgherd']
  const says = isObject(own) ? asText(own['says']) : undefined
  const state = `${asText(document['role']) ?? member.role}, ${asText(document['state']) ?? member.state}`
  return says === undefined || says === '' ? state : `${state}; ${says}`
}

/** Why the cluster is in its state. Pure. */
export function stateSentences(view: ClusterView, config: DynamicConfig): readonly string[] {
  const sentences: string[] = []
  const leader = view.leader?.name
  if (view.initialize === undefined) sentences.push('Nobody has created this cluster yet.')
  else if (view.initialize.value === '') sentences.push('A member is creating this cluster right now.')
  if (leader === undefined) sentences.push(`Nobody leads: ${whyNobody(view, config)}.`)
  else {
    const kind = isStandbyCluster(config.raw) ? 'leads this standby cluster' : 'leads'
    sentences.push(`${leader} ${kind}, on timeline ${view.members.get(leader)?.timeline ?? 'unknown'}.`)
  }
  if (config.isPaused) sentences.push('The cluster is paused: no failover happens by itself.')
  if (view.request !== undefined) {
    const { candidate, scheduledAt } = view.request.value
    const when = scheduledAt === undefined ? 'now' : `at ${scheduledAt}`
    sentences.push(`A switchover to ${candidate ?? 'the best candidate'} is asked for, ${when}.`)
  }
  for (const member of view.members.values()) {
    if (member.pendingRestart) sentences.push(`${member.name} needs a restart for changed settings.`)
    if (member.name !== leader && member.state === 'running' && member.replicationState !== 'streaming')
      sentences.push(`${member.name} runs, but does not stream from anybody.`)
  }
  return sentences
}

function whyNobody(view: ClusterView, config: DynamicConfig): string {
  if (view.members.size === 0) return 'no member is there'
  if (config.isPaused) return 'the cluster is paused'
  const fit = [...view.members.values()].filter(member => mayLead(member) && member.state === 'running')
  if (fit.length === 0) return 'no member runs that may lead'
  return `${fit.map(({ name }) => name).join(', ')} may lead and should take over soon`
}

/** The verdict on each member, best first. Pure. */
export function ifLeaderDied(view: ClusterView, config: DynamicConfig): readonly string[] {
  const leader = view.leader?.name
  if (leader === undefined) return []
  const heads = `If ${leader} died now`
  if (config.isPaused) return [`${heads}: nobody would take over, the cluster is paused.`]
  const others = membersOf(view, 'replica').map(member => judge(view, config, member))
  if (others.length === 0) return [`${heads}: nobody is there to take over.`]
  const able = others
    .filter(({ obstacle }) => obstacle === undefined)
    .sort((a, b) => (a.behind < b.behind ? -1 : a.behind > b.behind ? 1 : 0))
  const [best] = able
  const seconds = config.ttlSeconds + TAKE_OVER_SECONDS
  const first =
    best === undefined
      ? 'nobody could take over'
      : `${best.name} would lead in at most about ${seconds} s, ${lossOf(best, view)}`
  const rest = others.filter(other => other !== best)
  const shown = rest.slice(0, SHORT_MEMBERS * 10).map(other => {
    if (other.obstacle !== undefined) return `${other.name} would not: ${other.obstacle}`
    const distance = best === undefined ? 0n : other.behind - best.behind
    const why = distance === 0n ? 'as far as the first' : `${bytesText(distance)} behind it`
    return `${other.name} could, too: ${why}`
  })
  return [`${heads}: ${[first, ...shown].join('; ')}.`]
}

interface Judged {
  readonly name: string
  readonly behind: bigint
  readonly isSync: boolean
  /** Why it would not lead. */
  readonly obstacle: string | undefined
}

function judge(view: ClusterView, config: DynamicConfig, member: Member): Judged {
  const position = member.walPosition ?? member.receiveLsn ?? member.replayLsn
  const end = view.status.optime ?? 0n
  const behind = position === undefined || position >= end ? 0n : end - position
  const sync = view.sync?.value
  const isSync = sync !== undefined && isInSync({ ...sync, leader: undefined }, member.name)
  return {
    name: member.name,
    behind,
    isSync,
    obstacle: obstacleOf(member, config, { position, behind, mustBeSync: sync !== undefined, isSync }),
  }
}

function obstacleOf(
  member: Member,
  config: DynamicConfig,
  facts: {
    readonly position: bigint | undefined
    readonly behind: bigint
    readonly mustBeSync: boolean
    readonly isSync: boolean
  },
): string | undefined {
  if (!mayLead(member)) return 'it is tagged so that it never leads'
  if (member.state !== 'running') return `its server is ${member.state}`
  if (member.apiUrl === undefined) return 'it tells no REST address'
  if (facts.mustBeSync && !facts.isSync) return 'it is no synchronous standby'
  if (facts.position === undefined) return 'its position is unknown'
  if (facts.behind > config.maximumLagOnFailoverBytes) return `${bytesText(facts.behind)} behind`
  return undefined
}

function lossOf({ behind, isSync }: Judged, view: ClusterView): string {
  if (isSync) return '0 bytes lost (sync)'
  const known = behind === 0n ? 'nothing lost that is known' : `${bytesText(behind)} lost`
  return `${known} (asynchronous: what was written since the last report of ${view.leader?.name ?? 'the leader'} may be lost, too)`
}

/** `48 MB`, `512 KB`, `17 bytes`. */
export function bytesText(bytes: bigint): string {
  if (bytes >= 1024n * 1024n) return `${bytes / (1024n * 1024n)} MB`
  return bytes >= 1024n ? `${bytes / 1024n} KB` : `${bytes} bytes`
}
