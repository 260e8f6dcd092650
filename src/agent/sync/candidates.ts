// Which standbys can confirm commits, in the order in which they are asked to. Pure.

import { asInteger } from '../../cluster/json.ts'
import { type Lsn, laterLsn } from '../../cluster/lsn.ts'
import { isTagged, type Member, mayLead } from '../../cluster/member.ts'
import type { ClusterView } from '../../cluster/view.ts'
import type { Sender, ServerFacts } from '../../postgres/port.ts'
import { includesName, sameName } from './names.ts'

export interface Candidate {
  /** As its member key spells it. */
  readonly name: string
  readonly lsn: Lsn
  /** `sync`, `quorum`, `potential` or `async`. */
  readonly state: string
}

export interface CandidateWishes {
  readonly me: string
  /** The level of `synchronous_commit`: it chooses the position that counts. */
  readonly commit: string
  readonly maximumLagBytes: bigint | undefined
  /** The names in the parameter now: they stay rather than others of the same rank. */
  readonly current: readonly string[]
}

interface Row extends Candidate {
  readonly member: Member
}

/** Running members that stream from us and may be synchronous, best first. */
export function syncCandidates(
  view: ClusterView,
  facts: ServerFacts,
  wishes: CandidateWishes,
): readonly Candidate[] {
  const rows = [...view.members.values()].flatMap(member => rowOf(member, facts.senders, wishes))
  const best = rows.reduce((max, { lsn }) => laterLsn(lsn, max), 0n)
  const reference = rows.length === 1 ? (facts.synchronous?.flushLsn ?? best) : best
  const { maximumLagBytes } = wishes
  return rows
    .filter(({ lsn }) => maximumLagBytes === undefined || reference - lsn <= maximumLagBytes)
    .sort((a, b) => compareRows(a, b, wishes.current))
    .map(({ name, lsn, state }) => ({ name, lsn, state }))
}

function rowOf(member: Member, senders: readonly Sender[], wishes: CandidateWishes): readonly Row[] {
  const { name, state, tags } = member
  if (sameName(name, wishes.me) || state !== 'running' || isTagged(tags, 'nosync', 'sync_priority')) return []
  const sender = senders.find(
    ({ applicationName, state: streams }) => sameName(applicationName, name) && streams === 'streaming',
  )
  const lsn = sender === undefined ? undefined : confirmedLsn(sender, wishes.commit)
  return sender === undefined || lsn === undefined ? [] : [{ name, lsn, state: sender.syncState, member }]
}

function confirmedLsn({ writeLsn, flushLsn, replayLsn }: Sender, commit: string): Lsn | undefined {
  if (commit === 'remote_apply') return replayLsn
  return commit === 'remote_write' ? writeLsn : flushLsn
}

const STATES = ['sync', 'quorum', 'potential', 'async']

/** Who may not lead comes last; then the higher priority, then who confirms already, then the furthest, then the name. */
function compareRows(a: Row, b: Row, current: readonly string[]): number {
  const order = [
    Number(mayLead(b.member)) - Number(mayLead(a.member)),
    syncPriority(b.member) - syncPriority(a.member),
    Number(includesName(current, b.name)) - Number(includesName(current, a.name)),
    STATES.indexOf(a.state) - STATES.indexOf(b.state),
    Number(b.lsn - a.lsn),
  ]
  return order.find(difference => difference !== 0) ?? (a.name < b.name ? -1 : 1)
}

function syncPriority({ tags }: Member): number {
  return asInteger(tags['sync_priority']) ?? 1
}
