// The worker threads of a proxy as a transport: what is accepted and dialed through it lives in one of them. Everything that
// decides stays in the control thread, which is why limits, order and cuts are as exact as without threads.

import type { HostPort } from '../../cluster/member.ts'
import { type Clock, monotonicZeroMs } from '../../platform/clock.ts'
import { messageOf, UserError } from '../../platform/errors.ts'
import type { Carried, CarryOptions, SessionGate, Shareable } from '../carry.ts'
import type { EventSink } from '../events.ts'
import type {
  Dial,
  DialListener,
  DialOptions,
  ListenOptions,
  ServeOptions,
  Transport,
  Wire,
  WireServer,
} from '../relay/wire.ts'
import { CutBoard } from './cut-board.ts'
import { RemoteServer } from './remote-server.ts'
import { RemoteWire } from './remote-wire.ts'
import { ThreadLink } from './thread-link.ts'

/** A thread that dies is started again; when that has happened so often in a minute the process gives up. */
const DEATHS_MAX = 3
const DEATHS_WITHIN_MS = 60_000

export interface ThreadsOptions {
  readonly count: number
  readonly relay: Transport['kind']
  readonly clock: Clock
  readonly record: EventSink['record']
  /** Threads die again and again: told once, and nothing is started any more. */
  readonly onHopeless: (error: Error) => void
}

/** Starts them. Throws UserError when this Node or this machine does not have them. */
export async function openThreads(options: ThreadsOptions): Promise<Threads> {
  const threads = new Threads(options)
  try {
    await threads.started()
  } catch (error) {
    await threads.close()
    throw new UserError(`threads: a thread cannot be started: ${messageOf(error)}; take threads: 1`)
  }
  return threads
}

export class Threads implements Transport {
  readonly kind: Transport['kind']
  /** A thread has noticed that the host slept, perhaps before the control thread has. */
  onSlept: () => void = () => {}
  deathsTotal = 0
  readonly #options: ThreadsOptions
  readonly #board: CutBoard
  readonly #links: ThreadLink[]
  readonly #servers = new Map<number, RemoteServer>()
  /** Addresses that no other program had when we came. They are not asked for again: our own threads may still be there. */
  readonly #ours = new Set<string>()
  readonly #zeroMs = monotonicZeroMs()
  #deathsAtMs: number[] = []
  #missedByDead = 0
  #lastServer = 0
  #isClosing = false

  constructor(options: ThreadsOptions) {
    this.#options = options
    this.kind = options.relay
    this.#board = new CutBoard(options.count)
    this.#links = Array.from({ length: options.count }, (_, index) => this.#start(index + 1))
  }

  async started(): Promise<void> {
    await Promise.all(this.#links.map(link => link.started()))
  }

  /** Sessions of each thread. */
  get sessions(): readonly { readonly thread: number; readonly sessions: number }[] {
    return this.#links.map(({ number, sessions }) => ({ thread: number, sessions }))
  }

  /** Clients that were closed because the control thread could not deal with them. */
  get missedTotal(): number {
    return this.#links.reduce((sum, { sheet }) => sum + sheet.missed, this.#missedByDead)
  }

  createServer(serve: ServeOptions, onWire: (wire: Wire) => void): WireServer {
    this.#lastServer += 1
    return new RemoteServer({
      id: this.#lastServer,
      serve,
      threads: () => this.#links,
      onWire,
      isOurs: listen => this.#ours.has(keyOf(listen)),
      onOurs: listen => void this.#ours.add(keyOf(listen)),
      onListening: server => this.#servers.set(server.id, server),
      onClosed: server => this.#servers.delete(server.id),
    })
  }

  dial(address: HostPort, options: DialOptions, listener: DialListener): Dial {
    return linkOf(options.beside).dial(address, options, listener)
  }

  readonly carry = (options: CarryOptions<SessionGate & Shareable>): Carried => {
    const { client, server, gate, early, listener, serverName, isWrite, timeouts, first } = options
    const link = linkOf(client)
    if (!(client instanceof RemoteWire) || !(server instanceof RemoteWire)) throw strange()
    const skipBytes = client.deliveredBytes - early.length
    const order = { wire: client.id, server: server.id, serverName, isWrite, timeouts, first, skipBytes }
    // The worker watches for idle time: it knows when something moved.
    return { relay: link.carry(gate, this.#settle, order, listener), idle: undefined }
  }

  /** Ends all threads, and with them whatever they still hold. */
  async close(): Promise<void> {
    this.#isClosing = true
    await Promise.all(this.#links.map(link => link.leave()))
  }

  /** A gate was closed: pieces that a worker has just let pass leave before anything else happens here. */
  readonly #settle = (): void => {
    const nowMs = () => this.#options.clock.monotonicMs()
    for (const { sheet } of this.#links) sheet.settle(nowMs)
  }

  #start(number: number): ThreadLink {
    const { clock, relay } = this.#options
    return new ThreadLink({
      clock,
      number,
      data: { relay, zeroMs: this.#zeroMs },
      board: this.#board,
      onAccepted: (server, wire) => {
        const known = this.#servers.get(server)
        if (known === undefined) wire.destroy()
        else known.take(wire)
      },
      onListening: server => this.#servers.get(server)?.listensOn(number),
      onNotListening: (server, error) => this.#onNotListening(number, server, error),
      onSlept: () => this.onSlept(),
      onDied: (dead, why) => {
        this.#missedByDead += dead.sheet.missed
        this.#onDied(number, why)
      },
    })
  }

  #onNotListening(thread: number, server: number, error: NodeJS.ErrnoException): void {
    if (this.#servers.get(server)?.failsOn(thread, error) !== false) return
    const says = `thread ${thread} cannot listen: ${messageOf(error)}; the other threads take its clients`
    this.#options.record({ kind: 'thread-deaf', says, facts: { thread } })
  }

  #onDied(number: number, why: string): void {
    if (this.#isClosing) return
    this.deathsTotal += 1
    const { clock, record, onHopeless } = this.#options
    const nowMs = clock.monotonicMs()
    this.#deathsAtMs = [...this.#deathsAtMs.filter(atMs => nowMs - atMs < DEATHS_WITHIN_MS), nowMs]
    const isHopeless = this.#deathsAtMs.length > DEATHS_MAX
    const next = isHopeless ? 'it is not started again' : 'it is started again'
    const says = `thread ${number} died, and the sessions that it carried with it; ${next}: ${why}`
    record({ kind: 'thread-died', says, facts: { thread: number } })
    if (isHopeless) {
      this.#isClosing = true
      onHopeless(
        new Error(`threads died ${this.#deathsAtMs.length} times within a minute, the last one of: ${why}`),
      )
      return
    }
    const link = this.#start(number)
    this.#links[number - 1] = link
    link.started().then(
      () => {
        for (const server of this.#servers.values()) server.listenOn(link)
      },
      // Dead or too late: its death is told for itself, and counts.
      error => link.abandon(messageOf(error)),
    )
  }
}

function keyOf({ host = '*', port }: ListenOptions): string {
  return `${host} ${port}`
}

function linkOf(wire: Wire | undefined): ThreadLink {
  if (wire instanceof RemoteWire && wire.home instanceof ThreadLink) return wire.home
  throw strange()
}

function strange(): Error {
  return new Error('a wire that no thread of ours holds')
}
