// Holds the evidence, asks `route` after every new piece of it, and carries the answer out in the one safe order:
// the retired leader's gate closes, its sessions are cut, and only then does the new table take effect.

import { type Epoch, sameEpoch } from '../cluster/epoch.ts'
import { type Member, parseMember } from '../cluster/member.ts'
import { type ClusterView, type Position, parseLeader } from '../cluster/view.ts'
import type { WatchEvent } from '../dcs/dcs.ts'
import type { CheckRule } from '../health/check-verdict.ts'
import { isTurning } from '../health/counter.ts'
import type { ProbeResult } from '../health/document.ts'
import { type MemberHealth, unknownHealth } from '../health/verdict.ts'
import type { Timer } from '../platform/clock.ts'
import { Backend } from './backend.ts'
import type { CutReason } from './cut-reason.ts'
import { type Announced, EvidenceBook } from './evidence-book.ts'
import { tellPool } from './explain.ts'
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
import { Leavers } from './leavers.ts'
import { whyRetired } from './narrator.ts'
import { READ_POOL, standingIn } from './pool-specs.ts'
import type { RosterMember } from './roster.ts'
import {
  type Evidence,
  emptyTable,
  type Ping,
  type RoutingTable,
  route,
  type WriteRoute,
  wantsPing,
} from './route.ts'
import type { RouterListener, RouterOptions } from './router-types.ts'
import type { Ending } from './story.ts'
import { continuesIn, continuesOf, keyOf, revisionOf, wentWithLease } from './watch-events.ts'

/** A server that refused connections is asked again after this pause: a tight loop would help nobody. */
const AFTER_REFUSAL_MS = 100
/** Pools of reads are looked at again so often while nothing happens: lag grows in silence. */
const READS_EVERY_MS = 500

export class Router {
  readonly #options: RouterOptions
  readonly #listener: RouterListener
  readonly #book: EvidenceBook
  readonly #backends = new Map<string, Backend>()
  readonly leavers: Leavers
  #leadership: Leadership = unknownLeadership
  #table: RoutingTable = emptyTable
  /** The epoch that has taken sessions and has not been retired. */
  #armed: Epoch | undefined
  #deadlineTimer: Timer | undefined
  #isStopped = false
  #ending: Backend | undefined

  constructor(options: RouterOptions, listener: RouterListener) {
    const { clock, limits, timing, pools = [READ_POOL], needsPing = false, onDcsLoss = 'keep' } = options
    const { leaderRule } = options
    this.#options = options
    this.#listener = listener
    this.#book = new EvidenceBook({
      limits,
      timing,
      pools,
      needsPing,
      onDcsLoss,
      ...(leaderRule === undefined ? {} : { leaderRule }),
    })
    for (const { name, address } of options.servers ?? [])
      this.#backends.set(name, new Backend(name, address, clock, options.watch))
    this.leavers = new Leavers({
      clock,
      ...standingIn(pools, this, options),
      backendOf: name => this.#backends.get(name),
      onCut: (pool, member, says, sessionsCut) => options.narrator.leftPool(pool, member, says, sessionsCut),
    })
  }

  get table(): RoutingTable {
    return this.#table
  }

  get leadership(): Leadership {
    return this.#leadership
  }

  get members(): ReadonlyMap<string, RosterMember> {
    return this.#book.roster.members
  }

  get backends(): ReadonlyMap<string, Backend> {
    return this.#backends
  }

  get health(): ReadonlyMap<string, MemberHealth> {
    return this.#book.health
  }

  /** The write pool's backend for a new session: asks the clock, so that a late timer can do no harm. */
  writeBackend(): Backend | undefined {
    const { write } = this.#table
    if (write?.takesNew !== true || this.#now() >= write.untilMs) return undefined
    return this.#backends.get(write.epoch.member)
  }

  /** Whom the evidence proves to lead at this instant, whether or not he takes new sessions. */
  believedLeader(): Backend | undefined {
    const { write } = this.#table
    if (write === undefined || this.#now() >= write.untilMs) return undefined
    return this.#backends.get(write.epoch.member)
  }

  /** The end of the leader's term, by its agent's own word, for which new sessions are held now. */
  announcedEnd(): Announced | undefined {
    return this.#book.announcedEnd(this.#leadership, this.#now())
  }

  /** Servers that take sessions of this pool, in a fixed order. */
  poolBackends(pool: string): readonly Backend[] {
    const names = this.#table.pools.get(pool) ?? []
    return names.map(name => this.#backends.get(name)).filter(backend => backend !== undefined)
  }

  checksOf(pool: string): ReadonlyMap<string, MemberHealth> | undefined {
    return this.#book.checks.get(pool)
  }

  /** Why there is no server to go to: for the leader, or for the pool of one listener. */
  explain(listener?: { readonly name: string; readonly fallback: 'leader' | 'none' }): string {
    const evidence = this.evidence()
    const pool = evidence.pools.find(({ name }) => name === listener?.name)
    const story = this.#options.narrator.story(evidence)
    if (pool === undefined || listener === undefined) return story
    return listener.fallback === 'leader' ? `${tellPool(pool, evidence)}; ${story}` : tellPool(pool, evidence)
  }

  /** Is a change on its way at this member, so that it is worth asking more often? */
  isHurried(member: string): boolean {
    if (isTurning((this.health.get(member) ?? unknownHealth).counter)) return true
    return this.#leadership.epoch?.member === member && this.#table.write?.takesNew !== true
  }

  /** Takes a linearizable read that was sent when `highestWhenSent` was the highest revision known. */
  applyRead(view: ClusterView, highestWhenSent: bigint): void {
    const { position, leader } = view
    const atMs = this.#now()
    const read = { position, leader, continues: continuesIn(view), highestWhenSent, atMs }
    const believed = applyRead(this.#leadership, read)
    if (believed.change === 'restored') this.#startAgain(believed.next)
    if (believed.change !== 'late') this.#book.applyView(view, atMs)
    const keepsMemberKey = view.members.has(this.#leadership.epoch?.member ?? '')
    this.#believe(believed, keepsMemberKey ? 'gave-up' : 'lease-ended')
    this.#afterMembers()
    this.#look()
  }

  /** Takes events of the watch, in order. The sessions of a replaced leader are cut before this returns. */
  applyEvents(position: Position, events: readonly WatchEvent[]): void {
    const atMs = this.#now()
    for (const event of events) this.#applyMemberEvent(position, event)
    for (const event of events) {
      if (keyOf(event) !== 'leader') continue
      this.#applyLeaderEvent(position, event, events, atMs)
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
    this.#book.roster.replace(members, this.#now())
    this.#believe(believed, 'gave-up')
    this.#afterMembers()
    this.#look()
  }

  applyProbe(member: string, result: ProbeResult): void {
    const { epoch, hasKey } = this.#leadership
    const health = this.#book.probed(member, result, hasKey && epoch?.member === member)
    if (result.kind === 'answer' && epoch?.member === member && Number.isFinite(health.leadsUntilMs)) {
      this.#options.narrator.goodAnswer(epoch, result.answer.receivedAtMs)
    }
    this.#look()
  }

  applyCheck(pool: string, member: string, result: ProbeResult, rule: CheckRule): void {
    this.#book.checked(pool, member, result, rule)
    this.#look()
  }

  applyPing(member: string, ping: Ping): void {
    this.#book.pinged(member, ping)
    this.#look()
  }

  /** A connection to the member's server itself failed: evidence at once. */
  applyRefusal(member: string): void {
    this.#book.refused(member, this.#now())
    this.#listener.onCurious(member, AFTER_REFUSAL_MS)
    this.#look()
  }

  applyConnected(member: string): void {
    if (this.#book.connected(member)) this.#look()
  }

  /** The host slept `sleptMs`: all proofs may have ended meanwhile, the route begins again with new ones. */
  applySleep(sleptMs: number): void {
    this.#options.narrator.slept(sleptMs)
    this.#book.voidProofs()
    this.#leadership = { ...this.#leadership, leaseUntilMs: Number.NEGATIVE_INFINITY }
    this.#look()
    this.#listener.onDoubt('the host slept')
    for (const member of this.members.keys()) this.#listener.onCurious(member, 0)
  }

  /** Routes nothing any more. The sessions are their listeners' business. */
  stop(): void {
    this.#isStopped = true
    this.#deadlineTimer?.cancel()
    this.leavers.stop()
    this.#options.narrator.close()
    this.#table = emptyTable
  }

  /** All the facts of this instant. */
  evidence(): Evidence {
    const isStoreSilent = this.#options.isStoreSilent?.() === true
    return this.#book.at(this.#now(), this.#leadership, this.#table, isStoreSilent)
  }

  #applyMemberEvent(position: Position, event: WatchEvent): void {
    const key = keyOf(event)
    if (position.clusterId !== this.#leadership.clusterId) return
    this.#book.applyKey(key, event.kind === 'put' ? event.kv.value : '', revisionOf(event), this.#now())
    if (!key.startsWith('members/')) return
    const name = key.slice('members/'.length)
    if (event.kind === 'delete') {
      this.#book.roster.remove(name, this.#now())
      return
    }
    this.#book.roster.put(parseMember(name, event.kv.value, event.kv.leaseId))
    if (this.isHurried(name)) this.#listener.onCurious(name, 0)
  }

  #applyLeaderEvent(position: Position, event: WatchEvent, all: readonly WatchEvent[], atMs: number): void {
    const leader = event.kind === 'put' ? parseLeader(event.kv) : undefined
    const withLease = wentWithLease(all, event, this.#leadership.epoch)
    const fact = { position, revision: revisionOf(event), leader, continues: continuesOf(all, event), atMs }
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
      this.#book.forgetPositions()
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
    this.#book.clear()
  }

  #afterMembers(): void {
    const { members } = this
    const { clock, watch } = this.#options
    for (const { name, address } of members.values()) {
      const backend = this.#backends.get(name)
      if (backend === undefined) this.#backends.set(name, new Backend(name, address, clock, watch))
      else backend.address = address
    }
    for (const [name, backend] of this.#backends) {
      if (members.has(name) || backend.sessions.size > 0 || this.#isOfFile(name)) continue
      this.#backends.delete(name)
      this.#book.forget(name)
    }
    this.#listener.onMembers(members)
    this.#options.narrator.members(members, name => this.#timelineOf(name))
  }

  #isOfFile(server: string): boolean {
    return this.#options.servers?.some(({ name }) => name === server) === true
  }

  /** Decides again and carries it out. */
  #look(): void {
    if (this.#isStopped) return
    const evidence = this.evidence()
    const next = route(evidence)
    const before = this.#table
    const { reads, write } = before
    if (write?.takesNew === true && next.write?.takesNew !== true) this.#options.narrator.stopped()
    this.#retireIfOver(next)
    this.#table = next
    if (next.write !== undefined) this.#arm(next.write)
    this.#options.narrator.reads(reads, next.reads)
    this.leavers.changed(before, next)
    this.#armTimer(next)
    this.#holdIdle(evidence.isClosing)
    for (const member of wantsPing(evidence)) this.#listener.onPing?.(member)
    this.#listener.onRouted()
  }

  /** The leader is about to go: its idle clients keep what they have to say to themselves, and lose nothing. */
  #holdIdle(isClosing: boolean): void {
    const ending = isClosing ? this.#backends.get(this.#leadership.epoch?.member ?? '') : undefined
    if (ending === this.#ending) return
    this.#ending?.holdIdle(false)
    this.#ending = ending
    ending?.holdIdle(true)
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
    const beganMs = reason === 'newer-epoch' ? this.#leadership.seenAtMs : this.#now()
    this.#options.narrator.retired(epoch, reason, says, { cutting: backend.retire(reason, says), beganMs })
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
    return this.health.get(member)?.answer?.timeline
  }

  /** Looks again at the instant at which the last evidence ends. */
  #armTimer(table: RoutingTable): void {
    this.#deadlineTimer?.cancel()
    this.#deadlineTimer = undefined
    const nowMs = this.#now()
    const dueAtMs = Math.min(
      table.write?.untilMs ?? Number.POSITIVE_INFINITY,
      table.reads.length > 0 ? nowMs + READS_EVERY_MS : Number.POSITIVE_INFINITY,
    )
    if (!Number.isFinite(dueAtMs)) return
    this.#deadlineTimer = this.#options.clock.setTimer(Math.ceil(dueAtMs - nowMs), () => this.#look())
  }

  #now(): number {
    return this.#options.clock.monotonicMs()
  }
}
