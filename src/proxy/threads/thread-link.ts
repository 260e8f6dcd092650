// In the control thread: one worker, and all that it holds for us.

import { Worker } from 'node:worker_threads'
import type { HostPort } from '../../cluster/member.ts'
import type { Clock } from '../../platform/clock.ts'
import type { CarryListener, Shareable } from '../carry.ts'
import type { Endpoints } from '../proxy-protocol.ts'
import type { RelayCounters } from '../relay/relay.ts'
import type { Dial, DialListener, DialOptions } from '../relay/wire.ts'
import { Batch } from './batch.ts'
import type { CutBoard } from './cut-board.ts'
import { type CarryOrder, FIGURES, type Order, type Report, received, type ThreadData } from './messages.ts'
import { RemoteRelay } from './remote-relay.ts'
import { RemoteWire, type WireHome } from './remote-wire.ts'
import { ThreadSheet } from './thread-sheet.ts'

/** A thread needs some tens of milliseconds; on a busy machine more. */
const START_MS = 20_000
/** However busy the machine is, a thread that is to end gets no longer for the farewells that it owes. */
const TELL_MS_MAX = 1000
const NOWHERE: Endpoints = { source: '', sourcePort: 0, target: '', targetPort: 0 }

export interface ThreadLinkOptions {
  readonly clock: Clock
  /** Which of the threads, from 1. */
  readonly number: number
  readonly data: Pick<ThreadData, 'relay' | 'zeroMs'>
  readonly board: CutBoard
  readonly onAccepted: (server: number, wire: RemoteWire) => void
  readonly onListening: (server: number) => void
  readonly onNotListening: (server: number, error: NodeJS.ErrnoException) => void
  readonly onSlept: () => void
  /** It has ended without being told to; all that it held has been told its end. */
  readonly onDied: (link: ThreadLink, why: string) => void
}

interface KnownGate {
  readonly id: number
  /** Relays that it lets through. */
  uses: number
}

interface KnownRelay {
  readonly relay: RemoteRelay
  readonly gate: Shareable
}

/** The program of a worker: a file of its own beside main.js in dist, a source file among these. */
function programOf(here: string): URL {
  return here.endsWith('.ts') ? new URL('./thread.ts', here) : new URL('../thread.js', here)
}

export class ThreadLink implements WireHome {
  readonly number: number
  readonly sheet = new ThreadSheet()
  readonly #options: ThreadLinkOptions
  readonly #worker: Worker
  readonly #batch: Batch<Order>
  readonly #wires = new Map<number, RemoteWire>()
  readonly #dials = new Map<number, DialListener>()
  readonly #relays = new Map<number, KnownRelay>()
  readonly #gates = new Map<Shareable, KnownGate>()
  readonly #ready = Promise.withResolvers<void>()
  readonly #gone = Promise.withResolvers<void>()
  #lastDial = 0
  #lastGate = 0
  #problem = 'it ended'
  #isLeaving = false
  #isDead = false

  constructor(options: ThreadLinkOptions) {
    this.#options = options
    this.number = options.number
    const { number, data, board } = options
    board.clear(number)
    const workerData: ThreadData = { ...data, number, sheet: this.sheet.memory, board: board.memory }
    this.#worker = new Worker(programOf(import.meta.url), { workerData, name: `pgherd-${number}` })
    this.#batch = new Batch(this.#worker)
    // Somebody asks for it with `started`; it must not count as unhandled before that.
    this.#ready.promise.catch(() => {})
    this.#worker.on('message', (reports: readonly Report[]) => {
      for (const report of reports) this.#take(report)
    })
    this.#worker.on('error', error => {
      this.#problem = inOneLine(error)
    })
    this.#worker.once('exit', () => this.#onExit())
  }

  /** Resolves when it can take orders. Rejects when it cannot be had. */
  async started(): Promise<void> {
    const late = new Error(`it did not start within ${START_MS / 1000} s`)
    const timer = this.#options.clock.setTimer(START_MS, () => this.#ready.reject(late))
    await this.#ready.promise.finally(() => timer.cancel())
  }

  /** Sessions that it carries. */
  get sessions(): number {
    return this.#relays.size
  }

  post(order: Order): void {
    if (this.#isDead) return
    if (order.do === 'close') this.#options.board.order(this.number)
    this.#batch.post(order)
  }

  /** Ends the thread, behind the last words to those that it was told to close; resolves when its descriptors are closed. */
  async leave(): Promise<void> {
    this.#isLeaving = true
    if (this.#isDead) return
    this.#batch.flush()
    await this.#untilTold()
    void this.#worker.terminate()
    await this.#gone.promise
  }

  /** A thread closes sessions by thousands in slices: nobody's end may be lost, but one that hangs holds no stop up. */
  async #untilTold(): Promise<void> {
    const { clock, board } = this.#options
    const untilMs = clock.monotonicMs() + TELL_MS_MAX
    while (!this.#isDead && board.isPendingIn(this.number) && clock.monotonicMs() < untilMs)
      await clock.sleep(5)
  }

  /** It has not started: it dies, as if by itself, if it lives. */
  abandon(why: string): void {
    if (this.#isDead) return
    this.#problem = why
    void this.#worker.terminate()
  }

  dial(address: HostPort, { beside: _, ...options }: DialOptions, listener: DialListener): Dial {
    this.#lastDial -= 1
    const wire = this.#lastDial
    this.#dials.set(wire, listener)
    this.post({ do: 'dial', wire, address, options })
    return {
      abort: () => {
        if (this.#dials.delete(wire)) this.post({ do: 'abort', wire })
      },
    }
  }

  /** Makes the relay of two of its wires. `settle` is called after the gate was closed. */
  carry(
    gate: Shareable,
    settle: () => void,
    order: Omit<CarryOrder, 'do' | 'gate'>,
    listener: CarryListener,
  ): RemoteRelay {
    const known = this.#knownGate(gate, settle)
    known.uses += 1
    const relay = new RemoteRelay({
      home: this,
      order: { do: 'carry', gate: known.id, ...order },
      nowMs: this.#options.clock.monotonicMs(),
      listener,
    })
    this.#wires.delete(order.wire)
    this.#wires.delete(order.server)
    this.#relays.set(order.wire, { relay, gate })
    return relay
  }

  #knownGate(gate: Shareable, settle: () => void): KnownGate {
    const known = this.#gates.get(gate)
    if (known !== undefined) return known
    this.#lastGate += 1
    const made = { id: this.#lastGate, uses: 0 }
    this.#gates.set(gate, made)
    this.post({ do: 'gate', gate: made.id, memory: gate.share(settle) })
    return made
  }

  #endRelay({ relay, gate }: KnownRelay, counters?: RelayCounters): void {
    this.#relays.delete(relay.id)
    const known = this.#gates.get(gate)
    if (known !== undefined) {
      known.uses -= 1
      if (known.uses === 0) {
        this.#gates.delete(gate)
        this.post({ do: 'forget-gate', gate: known.id })
      }
    }
    relay.over(counters)
  }

  #take(report: Report): void {
    const { onListening, onNotListening, onSlept } = this.#options
    if (report.tells === 'ready') this.#onReady(report.problem)
    else if (report.tells === 'listening') onListening(report.server)
    else if (report.tells === 'not-listening') onNotListening(report.server, systemError(report))
    else if (report.tells === 'accepted') this.#onAccepted(report.server, report.wire, report.endpoints)
    else if (report.tells === 'data') this.#wires.get(report.wire)?.got(received(report.bytes))
    else if (report.tells === 'end') this.#wires.get(report.wire)?.gotEnd()
    else if (report.tells === 'broken') this.#wires.get(report.wire)?.broke()
    else if (report.tells === 'closed') this.#onClosed(report.wire)
    else if (report.tells === 'connected') this.#onConnected(report.wire)
    else if (report.tells === 'not-connected') this.#failDial(report.wire, systemError(report))
    else if (report.tells === 'moved') this.#onMoved(report.figures)
    else if (report.tells === 'slept') onSlept()
    else this.#tellRelay(report)
  }

  #onReady(problem: string | undefined): void {
    if (problem === undefined) this.#ready.resolve()
    else this.#ready.reject(new Error(problem))
  }

  #tellRelay(
    report: Extract<Report, { tells: 'cancel-key' | 'refused' | 'idle' | 'half-closed' | 'ending' | 'over' }>,
  ): void {
    const known = this.#relays.get(report.wire)
    if (known === undefined) return
    const { relay } = known
    if (report.tells === 'cancel-key') relay.gotKey(report.key)
    else if (report.tells === 'refused') relay.gotRefusal(report.why)
    else if (report.tells === 'idle') relay.idled(report.why)
    else if (report.tells === 'half-closed') relay.halfClosed(report.why)
    else if (report.tells === 'ending') relay.ended(report.why)
    else this.#endRelay(known, report.counters)
  }

  #onAccepted(server: number, id: number, endpoints: Endpoints): void {
    this.sheet.meet()
    const wire = new RemoteWire(id, this, endpoints)
    this.#wires.set(id, wire)
    this.#options.onAccepted(server, wire)
  }

  #onClosed(id: number): void {
    const wire = this.#wires.get(id)
    this.#wires.delete(id)
    wire?.closed()
  }

  #onConnected(id: number): void {
    const listener = this.#dials.get(id)
    // It was given up while this was on its way.
    if (listener === undefined) {
      this.post({ do: 'reset', wire: id })
      return
    }
    this.#dials.delete(id)
    const wire = new RemoteWire(id, this, NOWHERE)
    this.#wires.set(id, wire)
    listener.onConnected(wire)
  }

  #failDial(id: number, error: NodeJS.ErrnoException): void {
    const listener = this.#dials.get(id)
    this.#dials.delete(id)
    listener?.onFailed(error)
  }

  #onMoved(figures: Float64Array): void {
    for (let at = 0; at + FIGURES <= figures.length; at += FIGURES) {
      const [id = 0, toServerBytes = 0, toClientBytes = 0, lastActivityMs = 0, idle, unanswered] =
        figures.subarray(at, at + FIGURES)
      const counters = { toServerBytes, toClientBytes, lastActivityMs, isUnanswered: unanswered === 1 }
      this.#relays.get(id)?.relay.moved(counters, idle === 1)
    }
  }

  /** Its descriptors are closed. Nothing that was on its way from it counts any more. */
  #onExit(): void {
    this.#isDead = true
    this.#ready.reject(new Error(this.#problem))
    for (const known of [...this.#relays.values()]) {
      known.relay.ended('thread-ended')
      this.#endRelay(known)
    }
    for (const wire of [...this.#wires.values()]) {
      this.#wires.delete(wire.id)
      wire.broke()
      wire.closed()
    }
    for (const id of [...this.#dials.keys()]) this.#failDial(id, new Error('its thread ended'))
    this.#gone.resolve()
    if (!this.#isLeaving) this.#options.onDied(this, this.#problem)
  }
}

/** What it was and where. */
function inOneLine(error: unknown): string {
  const [what = '', where = ''] = (error instanceof Error ? (error.stack ?? '') : String(error)).split('\n')
  return `${what} ${where.trim()}`.trim()
}

function systemError({
  code,
  message,
}: {
  readonly code?: string
  readonly message: string
}): NodeJS.ErrnoException {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}
