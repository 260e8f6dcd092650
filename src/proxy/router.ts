// Holds the evidence, asks `route` after every new piece of it, and carries the answer out in the one safe order:
// the retired leader's gate closes, its sessions are cut, and only then does the new table take effect.

import { type Epoch, sameEpoch } from '../cluster/epoch.ts'
import { type Member, parseMember } from '../cluster/member.ts'
import { type ClusterView, type Position, parseLeader } from '../cluster/view.ts'
import type { WatchEvent } from '../dcs/dcs.ts'
import { type CounterLimits, isTurning } from '../health/counter.ts'
import type { ProbeResult } from '../health/document.ts'
import { judge, judgeRefusal, type MemberHealth, type ProbeTiming, unknownHealth } from '../health/verdict.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import { Backend, type CutReason } from './backend.ts'
import {
  applyEvent,
  applyLease,
  applyPosition,
  applyRead,
  type Believed,
  type Leadership,
  type LeaseAnswer,
  unknownLeadership,
} from './leadership.ts'
import { type Narrator, whyRetired } from './narrator.ts'
import { Roster, type RosterMember } from './roster.ts'
import { type Evidence, emptyTable, type RoutingTable, route, type WriteRoute } from './route.ts'
import type { Ending } from './story.ts'

/** A server that refused connections is asked again after this pause: a tight loop would help nobody. */
const AFTER_REFUSAL_MS = 100

export interface RouterOptions {
  readonly clock: Clock
  readonly limits: CounterLimits
  readonly timing: ProbeTiming
  readonly narrator: Narrator
}

/** Who is told what the router needs or changed. */
export interface RouterListener {
  /** Evidence was looked at again: waiting sessions may try. Called after each look. */
  onRouted(): void
  /** Members to probe may have changed. */
  onMembers(members: ReadonlyMap<string, RosterMember>): void
  /** This member should be asked soon. */
  onCurious(member: string, delayMs: number): void
  /** The store should be read now. */
  onDoubt(why: string): void
}

export class Router {
  readonly #options: RouterOptions
  readonly #listener: RouterListener
  readonly #roster = new Roster()
  readonly #backends = new Map<string, Backend>()
  readonly #health = new Map<string, MemberHealth>()
  #leadership: Leadership = unknownLeadership
  #table: RoutingTable = emptyTable
  /** The epoch that has taken sessions and has not been retired. */
  #armed: Epoch | undefined
  #deadlineTimer: Timer | undefined
  #isStopped = false

  constructor(options: RouterOptions, listener: RouterListener) {
    this.#options = options
    this.#listener = listener
  }

  get table(): RoutingTable {
    return this.#table
  }

  get leadership(): Leadership {
    return this.#leadership
  }

  get members(): ReadonlyMap<string, RosterMember> {
    return this.#roster.members
  }

  get backends(): ReadonlyMap<string, Backend> {
    return this.#backends
  }

  get health(): ReadonlyMap<string, MemberHealth> {
    return this.#health
  }

  /** The write pool's backend for a new session: asks the clock, so that a late timer can do no harm. */
  writeBackend(): Backend | undefined {
    const { write } = this.#table
    if (write?.takesNew !== true || this.#now() >= write.untilMs) return undefined
    return this.#backends.get(write.epoch.member)
  }

  /** Replicas that take reads, in name order. */
  readBackends(): readonly Backend[] {
    return this.#table.reads.map(name => this.#backends.get(name)).filter(backend => backend !== undefined)
  }

  /** Why there is no leader to go to. */
  explain(): string {
    return this.#options.narrator.story(this.#evidence())
  }

  /** Is a change on its way at this member, so that it is worth asking more often? */
  isHurried(member: string): boolean {
    if (isTurning((this.#health.get(member) ?? unknownHealth).counter)) return true
    return this.#leadership.epoch?.member === member && this.#table.write?.takesNew !== true
  }

  /** Takes a linearizable read that was sent when `highestWhenSent` was the highest revision known. */
  applyRead(view: ClusterView, highestWhenSent: bigint): void {
    const { position, leader } = view
    const atMs = this.#now()
    const believed = applyRead(this.#leadership, { position, leader, highestWhenSent, atMs })
    if (believed.change === 'restored') this.#startAgain(believed.next)
    if (believed.change !== 'late') this.#roster.replace(view.members.values(), atMs)
    const keepsMemberKey = view.members.has(this.#leadership.epoch?.member ?? '')
    this.#believe(believed, keepsMemberKey ? 'gave-up' : 'lease-ended')
    this.#afterMembers()
    this.#look()
  }

  /** Takes events of the watch, in order. The sessions of a replaced leader are cut before this returns. */
  applyEvents(position: Position, events: readonly WatchEvent[]): void {
    for (const event of events) this.#applyMemberEvent(position, event)
    for (const event of events) {
      if (keyOf(event) !== 'leader') continue
      this.#applyLeaderEvent(position, event, wentWithLease(events, event, this.#leadership.epoch))
      // The table follows each event, not each batch: an epoch between two others must be seen to end.
      this.#look()
    }
    this.#leadership = applyPosition(this.#leadership, position)
    this.#afterMembers()
    this.#look()
  }

  applyLease(answer: LeaseAnswer): void {
    this.#leadership = applyLease(this.#leadership, answer)
    this.#look()
  }

  /** Takes leadership and members from a source without keys (the members' answers alone). */
  applyAnswers(believed: Believed, members: Iterable<Member>): void {
    if (believed.change === 'restored') this.#startAgain(believed.next)
    this.#roster.replace(members, this.#now())
    this.#believe(believed, 'gave-up')
    this.#afterMembers()
    this.#look()
  }

  applyProbe(member: string, result: ProbeResult): void {
    const { limits, timing, narrator } = this.#options
    const health = judge(this.#health.get(member) ?? unknownHealth, result, limits, timing)
    this.#health.set(member, health)
    const { epoch } = this.#leadership
    if (result.kind === 'answer' && epoch?.member === member && Number.isFinite(health.leadsUntilMs)) {
      narrator.goodAnswer(epoch, result.answer.receivedAtMs)
    }
    this.#look()
  }

  /** A connection to the member's server itself failed: evidence at once. */
  applyRefusal(member: string): void {
    const health = this.#health.get(member) ?? unknownHealth
    this.#health.set(member, judgeRefusal(health, this.#now(), this.#options.limits))
    this.#listener.onCurious(member, AFTER_REFUSAL_MS)
    this.#look()
  }

  /** Routes nothing any more. The sessions are their listeners' business. */
  stop(): void {
    this.#isStopped = true
    this.#deadlineTimer?.cancel()
    this.#options.narrator.close()
    this.#table = emptyTable
  }

  #evidence(): Evidence {
    return {
      nowMs: this.#now(),
      leadership: this.#leadership,
      members: this.#roster.members,
      health: this.#health,
    }
  }

  #applyMemberEvent(position: Position, event: WatchEvent): void {
    const key = keyOf(event)
    if (!key.startsWith('members/') || position.clusterId !== this.#leadership.clusterId) return
    const name = key.slice('members/'.length)
    if (event.kind === 'delete') {
      this.#roster.remove(name, this.#now())
      return
    }
    this.#roster.put(parseMember(name, event.kv.value, event.kv.leaseId))
    if (this.isHurried(name)) this.#listener.onCurious(name, 0)
  }

  #applyLeaderEvent(position: Position, event: WatchEvent, withLease: boolean): void {
    const leader = event.kind === 'put' ? parseLeader(event.kv) : undefined
    const fact = { position, revision: revisionOf(event), leader, atMs: this.#now() }
    const believed = applyEvent(this.#leadership, fact)
    if (believed.change === 'foreign') this.#listener.onDoubt('an event of another etcd cluster')
    this.#believe(believed, withLease ? 'lease-ended' : 'gave-up')
  }

  /** Takes over what to believe and tells it. `howGone` is the way in which the key went, if it went. */
  #believe(believed: Believed, howGone: Ending): void {
    const before = this.#leadership.epoch
    this.#leadership = believed.next
    const { epoch } = believed.next
    const { narrator } = this.#options
    if (epoch === undefined) return
    if (believed.change === 'key-gone') narrator.keyGone(epoch, howGone)
    if (believed.change === 'epoch' || believed.change === 'restored') {
      narrator.keyTaken(epoch, before)
      this.#listener.onCurious(epoch.member, 0)
      this.#listener.onDoubt('a new leader')
    }
    if (believed.change === 'reattached') this.#listener.onDoubt('the leader key has another lease')
  }

  /** The store was restored or replaced: routing starts again from nothing. */
  #startAgain(next: Leadership): void {
    const { narrator } = this.#options
    narrator.restored(next.clusterId, next.revision)
    this.#table = { ...this.#table, write: undefined }
    narrator.stopped()
    if (this.#armed !== undefined) {
      this.#retire(this.#armed, 'store-restored', 'the store was restored or replaced')
    }
    this.#roster.clear()
  }

  #afterMembers(): void {
    const { members } = this.#roster
    for (const { name, address } of members.values()) {
      const backend = this.#backends.get(name)
      if (backend === undefined) this.#backends.set(name, new Backend(name, address, this.#options.clock))
      else backend.address = address
    }
    for (const [name, backend] of this.#backends) {
      if (members.has(name) || backend.sessions.size > 0) continue
      this.#backends.delete(name)
      this.#health.delete(name)
    }
    this.#listener.onMembers(members)
    this.#options.narrator.members(members, name => this.#timelineOf(name))
  }

  /** Decides again and carries it out. */
  #look(): void {
    if (this.#isStopped) return
    const next = route(this.#evidence())
    const { reads, write } = this.#table
    if (write?.takesNew === true && next.write?.takesNew !== true) this.#options.narrator.stopped()
    this.#retireIfOver(next)
    this.#table = next
    if (next.write !== undefined) this.#arm(next.write)
    this.#options.narrator.reads(reads, next.reads)
    this.#armTimer(next)
    this.#listener.onRouted()
  }

  #retireIfOver(next: RoutingTable): void {
    const armed = this.#armed
    if (armed === undefined) return
    if (next.write !== undefined && sameEpoch(next.write.epoch, armed)) return
    // A session that looks for a new place while it is cut must not find the retired leader in the table.
    this.#table = { ...next, write: undefined }
    this.#options.narrator.stopped()
    const { reason, says } = whyRetired(armed, this.#leadership.epoch)
    this.#retire(armed, reason, says)
  }

  /** Ends an epoch: every session on its server is cut, on every port, before anybody else takes traffic. */
  #retire(epoch: Epoch, reason: CutReason, says: string): void {
    this.#armed = undefined
    const backend = this.#backends.get(epoch.member)
    if (backend === undefined) return
    backend.gate.untilMs = Number.NEGATIVE_INFINITY
    const sessionsCut = backend.cutAll(reason, says)
    backend.gate.untilMs = Number.POSITIVE_INFINITY
    this.#options.narrator.retired(epoch, reason, says, sessionsCut)
  }

  #arm({ epoch, untilMs, takesNew }: WriteRoute): void {
    const backend = this.#backends.get(epoch.member)
    const isArmed = this.#armed !== undefined && sameEpoch(this.#armed, epoch)
    if (backend === undefined || (!isArmed && !takesNew)) return
    const { narrator } = this.#options
    backend.gate.untilMs = untilMs
    this.#armed = epoch
    if (!takesNew || (isArmed && narrator.stoppedSinceMs === undefined)) return
    narrator.routed(epoch, backend.address, this.#leadership.seenAtMs, () => this.#timelineOf(epoch.member))
  }

  #timelineOf(member: string): number | undefined {
    return this.#health.get(member)?.answer?.timeline
  }

  /** Looks again at the instant at which the last evidence ends. */
  #armTimer(table: RoutingTable): void {
    this.#deadlineTimer?.cancel()
    this.#deadlineTimer = undefined
    const untilMs = table.write?.untilMs
    if (untilMs === undefined) return
    const { clock } = this.#options
    this.#deadlineTimer = clock.setTimer(Math.ceil(untilMs - clock.monotonicMs()), () => this.#look())
  }

  #now(): number {
    return this.#options.clock.monotonicMs()
  }
}

function keyOf(event: WatchEvent): string {
  return event.kind === 'put' ? event.kv.key : event.key
}

function revisionOf(event: WatchEvent): bigint {
  return event.kind === 'put' ? event.kv.modRevision : event.revision
}

/** Did the leader's member key vanish in the same revision as the leader key? Only the end of a lease does that. */
function wentWithLease(events: readonly WatchEvent[], gone: WatchEvent, epoch: Epoch | undefined): boolean {
  const memberKey = `members/${epoch?.member ?? ''}`
  return events.some(
    event => event.kind === 'delete' && event.key === memberKey && event.revision === revisionOf(gone),
  )
}
