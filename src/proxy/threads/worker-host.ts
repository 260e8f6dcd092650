// A worker thread: it accepts, reads what comes first, connects and relays. It decides nothing but one thing, which it must
// not ask anybody for: when the evidence for a session's server has ended, the session ends.

import type { Clock } from '../../platform/clock.ts'
import { SuspendWatch } from '../pause-watch.ts'
import type { Dial, Transport, Wire, WireServer } from '../relay/wire.ts'
import type { Batch } from './batch.ts'
import { EndingQueue } from './ending-queue.ts'
import { SharedGate } from './gate-sheet.ts'
import { type CarryOrder, type Order, type Report, received } from './messages.ts'
import type { ThreadSheet } from './thread-sheet.ts'
import { WorkerSession } from './worker-session.ts'
import { WorkerWire } from './worker-wire.ts'

/** Sessions in which nothing moves are ended this long after their evidence at most. */
const LOOK_EVERY_MS = 50
/** Where an encrypted cancel request goes is decided by it (affinity.ts); sessions in which nothing moved say nothing. */
const NEWS_EVERY_MS = 100
/** Clients that the control thread has not dealt with; of more it is not told, they are closed. */
export const UNMET_MAX = 1024

export interface WorkerHostOptions {
  /** Counts as the control thread's. */
  readonly clock: Clock
  readonly transport: Transport
  readonly sheet: ThreadSheet
  readonly batch: Batch<Report>
  /** An order to close a session was carried out. */
  readonly onClosed: () => void
}

type WireOrder = Extract<Order, { readonly wire: number }>

export class WorkerHost {
  readonly #options: WorkerHostOptions
  readonly #watch: SuspendWatch
  readonly #servers = new Map<number, WireServer>()
  readonly #wires = new Map<number, WorkerWire>()
  readonly #dials = new Map<number, Dial>()
  readonly #gates = new Map<number, SharedGate>()
  readonly #sessions = new Map<number, WorkerSession>()
  /** Those in which something moved since the control thread was told. */
  readonly #moved = new Set<WorkerSession>()
  readonly #endings: EndingQueue
  /** How many orders for a wire wait for their turn: any other one for it comes behind them. */
  readonly #behind = new Map<number, number>()
  #lastWire = 0
  #told = 0

  constructor(options: WorkerHostOptions) {
    this.#options = options
    this.#endings = new EndingQueue(options.clock)
    this.#watch = new SuspendWatch({ clock: options.clock, onSuspended: () => this.#onSlept() })
    this.#watch.start()
    this.#lookLater()
    this.#tellLater()
  }

  /**
   * Carries orders out, one after the other. A session that is to be closed passes nothing from now on; its farewell comes
   * in its turn, for there may be thousands. Throws for nothing that a client or a server can cause.
   */
  take(orders: readonly Order[]): void {
    for (const order of orders) {
      if (order.do === 'close') this.#sessions.get(order.wire)?.order(order.kind, wordsOf(order.words))
      if ('wire' in order && this.#mustWait(order)) this.#later(order)
      else this.#carryOut(order)
    }
    this.#endings.begin()
  }

  /** Those that are told farewell and are too many for it end together, too: never in front of the words to others. */
  #mustWait({ do: what, wire }: WireOrder): boolean {
    return what === 'close' || this.#behind.has(wire) || (what === 'destroy' && this.#sessions.has(wire))
  }

  #later(order: WireOrder): void {
    const { wire } = order
    this.#behind.set(wire, (this.#behind.get(wire) ?? 0) + 1)
    this.#endings.add(() => {
      const left = (this.#behind.get(wire) ?? 1) - 1
      if (left === 0) this.#behind.delete(wire)
      else this.#behind.set(wire, left)
      this.#carryOut(order)
      if (order.do === 'close') this.#options.onClosed()
    })
  }

  #carryOut(order: Order): void {
    if (order.do === 'listen') this.#listen(order)
    else if (order.do === 'stop-listening') this.#stopListening(order.server)
    else if (order.do === 'dial') this.#dial(order)
    else if (order.do === 'gate') this.#gates.set(order.gate, this.#gateIn(order.memory))
    else if (order.do === 'forget-gate') this.#gates.delete(order.gate)
    else if (order.do === 'carry') this.#carry(order)
    else if (order.do === 'close') this.#sessions.get(order.wire)?.end()
    else if (order.do === 'close-if-idle') this.#sessions.get(order.wire)?.closeIfIdle(received(order.words))
    else if (order.do === 'hold-when-idle') this.#sessions.get(order.wire)?.holdWhenIdle(order.isOn)
    else this.#handle(order)
  }

  #stopListening(id: number): void {
    this.#servers.get(id)?.close()
    this.#servers.delete(id)
  }

  #handle(order: Extract<Order, { do: 'write' | 'end' | 'drain' | 'destroy' | 'reset' | 'abort' }>): void {
    if (order.do === 'abort') {
      this.#dials.get(order.wire)?.abort()
      this.#dials.delete(order.wire)
    }
    const held = this.#wires.get(order.wire)
    if (held === undefined) return
    if (order.do === 'write') held.wire.write(received(order.bytes))
    else if (order.do === 'end') held.wire.end()
    else if (order.do === 'drain') held.drain()
    else if (order.do === 'reset') held.wire.reset()
    else held.wire.destroy()
  }

  #report = (report: Report): void => this.#options.batch.post(report)

  #gateIn(memory: SharedArrayBuffer): SharedGate {
    return new SharedGate({ clock: this.#options.clock, watch: this.#watch, memory })
  }

  #listen({ server: id, serve, listen }: Extract<Order, { do: 'listen' }>): void {
    // A second socket for one id could never be closed again.
    if (this.#servers.has(id)) return
    const server = this.#options.transport.createServer(serve, wire => this.#onClient(id, wire))
    this.#servers.set(id, server)
    const onError = ({ code, message }: NodeJS.ErrnoException) => {
      this.#servers.delete(id)
      this.#report({ tells: 'not-listening', server: id, message, ...(code === undefined ? {} : { code }) })
    }
    server.once('error', onError)
    server.listen(listen, () => {
      server.off('error', onError)
      // A later one (too many open files) must not end the thread: the next accept may work again.
      server.on('error', () => {})
      this.#report({ tells: 'listening', server: id })
    })
  }

  #onClient(server: number, wire: Wire): void {
    // The control thread stands still, or clients come faster than it can deal with them.
    if (this.#options.sheet.unmet(this.#told) >= UNMET_MAX) {
      this.#options.sheet.miss()
      wire.destroy()
      return
    }
    this.#told = (this.#told + 1) | 0
    this.#lastWire += 1
    const endpoints = wire.endpoints()
    this.#report({ tells: 'accepted', server, wire: this.#lastWire, endpoints })
    this.#hold(this.#lastWire, wire).wire.start()
  }

  #hold(id: number, wire: Wire): WorkerWire {
    const held = new WorkerWire(id, wire, this.#report, gone => this.#wires.delete(gone.id))
    this.#wires.set(id, held)
    return held
  }

  #dial({ wire: id, address, options }: Extract<Order, { do: 'dial' }>): void {
    const listener = {
      onConnected: (wire: Wire) => {
        this.#dials.delete(id)
        this.#hold(id, wire)
        this.#report({ tells: 'connected', wire: id })
      },
      onFailed: ({ code, message }: NodeJS.ErrnoException) => {
        this.#dials.delete(id)
        this.#report({ tells: 'not-connected', wire: id, message, ...(code === undefined ? {} : { code }) })
      },
    }
    this.#dials.set(id, this.#options.transport.dial(address, options, listener))
  }

  #carry(order: CarryOrder): void {
    const client = this.#wires.get(order.wire)
    const server = this.#wires.get(order.server)
    const gate = this.#gates.get(order.gate)
    const isClientThere = client?.wire.isDestroyed === false
    const isServerThere = server?.wire.isDestroyed === false
    if (!isClientThere || !isServerThere || gate === undefined) {
      // One of them has just gone: its own report is on its way, and says nothing to anybody any more.
      client?.wire.reset()
      server?.wire.reset()
      const why = isClientThere ? 'server-reset' : 'client-reset'
      this.#report({ tells: 'ending', wire: order.wire, why })
      const counters = { toServerBytes: 0, toClientBytes: 0, lastActivityMs: 0, isUnanswered: false }
      this.#report({ tells: 'over', wire: order.wire, counters })
      return
    }
    const { clock, sheet } = this.#options
    const onOver = ({ id }: WorkerSession) => {
      this.#sessions.delete(id)
      this.#wires.delete(order.wire)
      this.#wires.delete(order.server)
    }
    const shared = { clock, sheet, order, gate, report: this.#report, moved: this.#moved, onOver }
    this.#sessions.set(order.wire, new WorkerSession({ ...shared, client, server }))
  }

  #lookLater(): void {
    this.#options.clock.setTimer(LOOK_EVERY_MS, () => {
      this.#lookAtGates()
      this.#lookLater()
    })
  }

  #lookAtGates(): void {
    const nowMs = this.#options.clock.monotonicMs()
    const closed = new Set([...this.#gates.values()].filter(gate => !gate.isOpen(nowMs)))
    if (closed.size === 0) return
    for (const session of this.#sessions.values())
      if (closed.has(session.gate) && session.orderByGate()) this.#endings.add(() => session.end())
    this.#endings.begin()
  }

  #onSlept(): void {
    for (const gate of this.#gates.values()) gate.closeAfterSleep()
    this.#report({ tells: 'slept' })
    this.#lookAtGates()
  }

  #tellLater(): void {
    this.#options.clock.setTimer(NEWS_EVERY_MS, () => {
      const figures = [...this.#moved].flatMap(session => session.news() ?? [])
      this.#moved.clear()
      if (figures.length > 0) this.#report({ tells: 'moved', figures: Float64Array.from(figures) })
      this.#tellLater()
    })
  }
}

function wordsOf(words: Uint8Array | undefined): Buffer | undefined {
  return words === undefined ? undefined : received(words)
}
