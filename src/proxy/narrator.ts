// Tells what happened to the route: events, the failover line, the story for clients that wait. Decides nothing.

import { type Epoch, printEpoch, sameEpoch } from '../cluster/epoch.ts'
import type { HostPort } from '../cluster/member.ts'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Cutting } from './backend.ts'
import type { CutReason } from './cut-reason.ts'
import type { EventSink } from './events.ts'
import { readPhases } from './failover.ts'
import { type Ended, failoverEvent, Outage, type SessionTotals } from './outage.ts'
import type { RosterMember } from './roster.ts'
import type { Evidence } from './route.ts'
import { type Ending, tellStory } from './story.ts'

/** How long the failover line waits for the new leader's own figures. */
const PHASES_WAIT_MS = 1500
/** For the threads' own words of what they have cut. */
const CONFIRMED_WITHIN_MS = 2_000

export interface NarratorOptions {
  readonly clock: Clock
  /** Asked at each story: without a file the members tell it, some time after the start. */
  readonly scope: () => string
  readonly events: EventSink
  readonly totals: SessionTotals
  /** For how long the store has not answered; undefined while it does. */
  readonly storeSilentMs: () => number | undefined
}

interface Report {
  readonly ended: Ended
  readonly epoch: Epoch
  readonly timer: Timer
}

export class Narrator {
  readonly #options: NarratorOptions
  readonly #outage: Outage
  readonly #startedAtMs: number
  /** What the present holder of the key had published about itself before: figures of an older failover. */
  #phasesBefore: string | undefined
  #report: Report | undefined
  #members: ReadonlyMap<string, RosterMember> = new Map()

  constructor(options: NarratorOptions) {
    this.#options = options
    this.#outage = new Outage(options.totals)
    this.#startedAtMs = options.clock.monotonicMs()
  }

  /** Since when no new write session can start; undefined while it can, or when it never could. */
  get stoppedSinceMs(): number | undefined {
    return this.#outage.sinceMs
  }

  /** Why there is no leader to go to. */
  story(evidence: Evidence): string {
    const { scope, storeSilentMs } = this.#options
    const { sinceMs, lastLeader } = this.#outage
    const facts = { sinceMs, startedAtMs: this.#startedAtMs, lastLeader, storeSilentMs: storeSilentMs() }
    return tellStory({ scope: scope(), ...facts }, evidence)
  }

  goodAnswer(epoch: Epoch, atMs: number): void {
    this.#outage.onGoodAnswer(epoch, atMs)
  }

  keyGone(epoch: Epoch, howGone: Ending): void {
    this.#outage.onEnding(howGone, this.#now())
    const how = howGone === 'lease-ended' ? 'its lease ended' : 'it gave the leader key up'
    this.#options.events.record({
      kind: 'leader-key-gone',
      says: `${epoch.member}: ${how}; new write sessions wait`,
      epoch,
    })
  }

  keyTaken(epoch: Epoch, before: Epoch | undefined): void {
    if (before !== undefined) this.#outage.onEnding('replaced', this.#now())
    this.#phasesBefore = this.#phasesOf(epoch.member)
    const says = `${epoch.member} holds the leader key (${printEpoch(epoch)})`
    this.#options.events.record({ kind: 'leader-key', says, epoch })
  }

  restored(clusterId: string | undefined, revision: bigint): void {
    this.#outage.onEnding('restored', this.#now())
    const where = `cluster ${clusterId}, revision ${revision}`
    this.#options.events.record({
      kind: 'store-restored',
      says: `etcd was restored or replaced (${where}): routing starts again from nothing`,
    })
  }

  /** New write sessions can no longer start. */
  stopped(): void {
    this.#outage.onStopped(this.#now())
  }

  /**
   * An epoch is over. Told when the last of its sessions is cut, with the time since `beganMs`, the word that ended it; a
   * thread that does not tell is waited for 2 s.
   */
  retired(
    epoch: Epoch,
    reason: CutReason,
    says: string,
    { cutting, beganMs }: { readonly cutting: Cutting; readonly beganMs: number },
  ): void {
    const { clock, events, totals } = this.#options
    const { begun } = cutting
    if (reason === 'evidence-expired') this.#outage.onEnding('silent', this.#now())
    totals.cut += begun
    let isTold = false
    const tell = () => {
      if (isTold) return
      isTold = true
      timer?.cancel()
      const tookMs = this.#now() - beganMs
      if (begun > 0) totals.lastCutMs = tookMs
      const roundMs = Math.ceil(tookMs)
      const { left } = cutting
      const open = left > 0 ? ` (${left} not confirmed by their thread)` : ''
      events.record({
        kind: 'retired',
        says: `${printEpoch(epoch)} is retired, ${begun} sessions cut${begun > 0 ? ` in ${roundMs} ms` : ''}${open}: ${says}`,
        rule: reason,
        epoch,
        facts: { sessions_cut: begun, cut_ms: roundMs },
      })
    }
    const timer = cutting.left > 0 ? clock.setTimer(CONFIRMED_WITHIN_MS, tell) : undefined
    cutting.whenDone(tell)
  }

  /** New write sessions can start at `epoch`, whose key was first seen at `lockAtMs`. */
  routed(epoch: Epoch, address: HostPort, lockAtMs: number, timeline: () => number | undefined): void {
    const { clock, events } = this.#options
    const ended = this.#outage.onRouted(epoch, lockAtMs, this.#now())
    const says = `write sessions go to ${epoch.member} at ${address.host}:${address.port}`
    events.record({ kind: 'routed', says, epoch })
    if (ended === undefined) return
    this.#report?.timer.cancel()
    const isOurs = this.#members.get(epoch.member)?.pgherd !== undefined
    const timer = clock.setTimer(isOurs ? PHASES_WAIT_MS : 0, () => this.#tellFailover(timeline()))
    this.#report = { ended, epoch, timer }
    if (this.#hasNewPhases(epoch)) this.#tellFailover(timeline())
  }

  /** The members as they are now: the new leader's own figures may be among them. */
  members(
    members: ReadonlyMap<string, RosterMember>,
    timeline: (member: string) => number | undefined,
  ): void {
    this.#members = members
    const report = this.#report
    if (report === undefined || !this.#hasNewPhases(report.epoch)) return
    this.#tellFailover(timeline(report.epoch.member))
  }

  reads(previous: readonly string[], next: readonly string[]): void {
    const { events } = this.#options
    for (const name of next.filter(member => !previous.includes(member))) {
      events.record({ kind: 'read-pool', says: `${name} takes read sessions` })
    }
    for (const name of previous.filter(member => !next.includes(member))) {
      events.record({ kind: 'read-pool', says: `${name} takes no more read sessions` })
    }
  }

  /** A pool's sessions on a server that left it some time ago were cut. */
  leftPool(pool: string, member: string, says: string, sessionsCut: number): void {
    this.#options.totals.cut += sessionsCut
    this.#options.events.record({
      kind: 'left-pool',
      says: `${says}: ${sessionsCut} sessions cut`,
      facts: { listener: pool, member, sessions_cut: sessionsCut },
    })
  }

  slept(sleptMs: number): void {
    this.#options.events.record({
      kind: 'host-slept',
      says: `this host slept for ${(sleptMs / 1000).toFixed(1)} s: everything known is asked again`,
    })
  }

  close(): void {
    this.#report?.timer.cancel()
  }

  #tellFailover(timeline: number | undefined): void {
    const report = this.#report
    if (report === undefined) return
    this.#report = undefined
    report.timer.cancel()
    const { ended, epoch } = report
    const phases = this.#hasNewPhases(epoch) ? readPhases(this.#members.get(epoch.member)?.pgherd) : undefined
    this.#options.events.record(failoverEvent(ended, epoch, timeline, phases))
  }

  #hasNewPhases(epoch: Epoch): boolean {
    const phases = this.#phasesOf(epoch.member)
    return phases !== undefined && phases !== this.#phasesBefore
  }

  #phasesOf(member: string): string | undefined {
    return JSON.stringify(readPhases(this.#members.get(member)?.pgherd))
  }

  #now(): number {
    return this.#options.clock.monotonicMs()
  }
}

/** In words for the client: who replaced whom, or what ended. */
export function whyRetired(armed: Epoch, present: Epoch | undefined): { reason: CutReason; says: string } {
  if (present !== undefined && !sameEpoch(present, armed)) {
    return { reason: 'newer-epoch', says: `${present.member} took over from ${armed.member}` }
  }
  return { reason: 'evidence-expired', says: `nothing proves any more that ${armed.member} leads` }
}
