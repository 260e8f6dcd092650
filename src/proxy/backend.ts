// A server that sessions go to, and the gate that every byte to or from it passes.

import type { HostPort } from '../cluster/member.ts'
import type { Clock } from '../platform/clock.ts'
import type { CutReason } from './cut-reason.ts'
import { Logins } from './logins.ts'
import { inSlices } from './slices.ts'
import { GateSheet } from './threads/gate-sheet.ts'

/** Looked at before the clock is believed: a suspended host makes the monotonic clock stand still. */
export interface PauseWatch {
  check(nowMs?: number): void
}

/**
 * Open until a monotonic deadline, or until it is closed for good. The relay asks it for each piece of data: timers are
 * late after a pause of the process, this question is not, so a thawed proxy forwards nothing under evidence that ended
 * while it slept. One gate belongs to one term of its server: a closed one never opens again.
 */
export class Gate {
  readonly #clock: Clock
  readonly #watch: PauseWatch | undefined
  #closedBecause: { readonly reason: CutReason; readonly says: string } | undefined
  #untilMs = Number.POSITIVE_INFINITY
  /** Present once other threads look at this gate. */
  #sheet: GateSheet | undefined

  constructor(clock: Clock, watch?: PauseWatch) {
    this.#clock = clock
    this.#watch = watch
  }

  /** Infinity for servers that no epoch binds (replicas). */
  get untilMs(): number {
    return this.#untilMs
  }

  set untilMs(untilMs: number) {
    this.#untilMs = untilMs
    this.#sheet?.setUntilMs(untilMs)
  }

  /** `nowMs`: the present time, for those who have just asked for it. */
  isOpen(nowMs?: number): boolean {
    if (this.#closedBecause !== undefined) return false
    if (this.#untilMs === Number.POSITIVE_INFINITY) return true
    const atMs = nowMs ?? this.#clock.monotonicMs()
    this.#watch?.check(atMs)
    return this.#closedBecause === undefined && atMs < this.#untilMs
  }

  /** Why it was closed for good; undefined while it was not. */
  get closedBecause(): { readonly reason: CutReason; readonly says: string } | undefined {
    return this.#closedBecause
  }

  /**
   * For good. When this returns no thread is about to write a byte that it passed. What was written before cannot be
   * stopped: bytes in the kernel's own buffers, and the one piece of a direction (64 KB at most) that waits until the
   * kernel takes it. The cut that follows drops that piece; until then the kernel may take it from us unasked.
   */
  close(reason: CutReason, says: string): void {
    if (this.#closedBecause !== undefined) return
    this.#closedBecause = { reason, says }
    this.#sheet?.close(reason, says)
  }

  /** Makes it known to other threads: they see each change of it from now on. `settle` is called after it was closed. */
  share(settle: () => void): SharedArrayBuffer {
    this.#sheet ??= new GateSheet(settle, this.#untilMs, this.#closedBecause)
    return this.#sheet.memory
  }
}

/** Something that occupies a backend and can be ended. */
export interface Cuttable {
  /** The listener that it came in by. */
  readonly listener: string
  /** Has it begun to move bytes? */
  readonly hasBegun: boolean
  /** Is it known to be idle: in clear text, between two messages, outside of a transaction? */
  readonly isIdle: boolean
  /**
   * Its client is not read between transactions while this is on: its leader is about to go. One that is still connecting
   * waits for the next leader, if it may wait.
   */
  holdWhenIdle?(isOn: boolean): void
  /**
   * Ends it at once: afterwards no byte passes in either direction. `says` is for the client. False: it had not begun
   * yet (it was connecting) and looks for another place. True: `onCut` is called once, when its end is under way to its
   * client: before this returns, or, where a thread carries it, at that thread's word.
   */
  cut(reason: CutReason, says: string, onCut?: () => void): boolean
}

/** One server. The object lives as long as its member is known; its address may change. */
export class Backend {
  readonly name: string
  readonly sessions = new Set<Cuttable>()
  readonly #clock: Clock
  readonly #watch: PauseWatch | undefined
  readonly #counts = new Map<string, number>()
  readonly logins: Logins<Cuttable>
  #gate: Gate
  #holdsIdle = false
  address: HostPort
  /** Sessions ever started here. */
  startedTotal = 0
  connectFailuresTotal = 0
  /** Monotonic time at which it last ceased to lead, as far as we know. */
  retiredAtMs: number | undefined

  constructor(name: string, address: HostPort, clock: Clock, watch?: PauseWatch) {
    this.name = name
    this.address = address
    this.#clock = clock
    this.#watch = watch
    this.logins = new Logins(clock)
    this.#gate = new Gate(clock, watch)
  }

  /** The gate of the present term. A session keeps the one that it began with. */
  get gate(): Gate {
    return this.#gate
  }

  /** Does a session that begins here stay unread between its transactions? */
  get holdsIdle(): boolean {
    return this.#holdsIdle
  }

  /** Its term is about to end by plan, or goes on after all. */
  holdIdle(isOn: boolean): void {
    if (this.#holdsIdle === isOn) return
    this.#holdsIdle = isOn
    // Those that are connecting may leave meanwhile.
    for (const session of [...this.sessions]) session.holdWhenIdle?.(isOn)
  }

  join(session: Cuttable): void {
    if (this.sessions.has(session)) return
    this.sessions.add(session)
    this.logins.begin(session)
    this.#counts.set(session.listener, this.sessionsOf(session.listener) + 1)
  }

  /** It is connected and sends its first packet, behind which its login may be hidden. */
  begun(session: Cuttable, isHidden: boolean): void {
    this.startedTotal += 1
    this.logins.begin(session, isHidden)
  }

  leave(session: Cuttable): void {
    if (!this.sessions.delete(session)) return
    this.logins.end(session)
    this.#counts.set(session.listener, this.sessionsOf(session.listener) - 1)
  }

  /** How many sessions of one listener are here, those that are connecting included. */
  sessionsOf(listener: string): number {
    return this.#counts.get(listener) ?? 0
  }

  /**
   * Ends the present term: its gate closes at once and for good, so that not one byte passes from now on; then the
   * sessions are ended in slices, so that thousands of them do not stop everything else.
   */
  retire(reason: CutReason, says: string): Cutting {
    this.retiredAtMs = this.#clock.monotonicMs()
    this.#gate.close(reason, says)
    this.#gate = new Gate(this.#clock, this.#watch)
    this.#holdsIdle = false
    return this.cutAll(reason, says)
  }

  /** Ends every session, or those that `isMeant`, in slices. */
  cutAll(reason: CutReason, says: string, isMeant: (session: Cuttable) => boolean = () => true): Cutting {
    return new Cutting(this.#clock, [...this.sessions].filter(isMeant), reason, says)
  }
}

/** Sessions that are being cut together, in slices. */
export class Cutting {
  /** How many of them had begun to move bytes. */
  readonly begun: number
  #left: number
  #onDone: (() => void) | undefined

  /**
   * Cuts all that have not begun and the first slice of the others before it returns. One that has begun stays where it is
   * until it ends; any other may have found another server, and begun there, when a later slice comes to it.
   */
  constructor(clock: Clock, sessions: readonly Cuttable[], reason: CutReason, says: string) {
    const begun = sessions.filter(({ hasBegun }) => hasBegun)
    const others = sessions.filter(({ hasBegun }) => !hasBegun)
    this.begun = begun.length
    this.#left = sessions.length
    const cut = (session: Cuttable) => {
      if (!session.cut(reason, says, this.#countOne)) this.#countOne()
    }
    for (const session of others) cut(session)
    inSlices(clock, begun, cut)
  }

  /** How many are not known to be cut yet: those of threads that have not told. */
  get left(): number {
    return this.#left
  }

  /** Calls `run` once the last of them is cut, that is, when its end is under way to its client; at once if all are. */
  whenDone(run: () => void): void {
    if (this.#left === 0) run()
    else this.#onDone = run
  }

  readonly #countOne = (): void => {
    this.#left -= 1
    if (this.#left === 0) this.#onDone?.()
  }
}
