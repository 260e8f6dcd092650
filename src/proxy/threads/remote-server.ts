// In the control thread: a listening address that every worker listens on. The kernel shares the clients out.

import { EventEmitter } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import type { ListenOptions, ServeOptions, Wire, WireServer } from '../relay/wire.ts'
import type { Order } from './messages.ts'

interface Listening {
  readonly options: ListenOptions
  readonly address: AddressInfo
  /** Threads that have not answered. */
  readonly due: Set<number>
}

/** One of the workers. */
export interface ServingThread {
  readonly number: number
  post(order: Order): void
}

export interface RemoteServerOptions {
  readonly id: number
  readonly serve: ServeOptions
  readonly threads: () => readonly ServingThread[]
  readonly onWire: (wire: Wire) => void
  /** Has this address been ours alone before? */
  readonly isOurs: (options: ListenOptions) => boolean
  /** It was ours alone a moment ago. */
  readonly onOurs: (options: ListenOptions) => void
  readonly onListening: (server: RemoteServer) => void
  readonly onClosed: (server: RemoteServer) => void
}

export class RemoteServer extends EventEmitter implements WireServer {
  readonly id: number
  listening = false
  readonly #options: RemoteServerOptions
  #listens: Listening | undefined
  /** Those who wait until every thread listens; empty: nobody has asked, or it is over. */
  #waiting: (() => void)[] = []
  /** Counts the openings: what belongs to one that was given up changes nothing any more. */
  #opening = 0
  #isClosed = false

  constructor(options: RemoteServerOptions) {
    super()
    this.#options = options
    this.id = options.id
  }

  address(): AddressInfo | null {
    return this.#listens?.address ?? null
  }

  /**
   * `onListening` is called when every thread listens, or when it was closed before; otherwise an error is emitted. Whoever
   * asks while it is being opened waits for the same; after an error or a close it may be opened again.
   */
  listen(options: ListenOptions, onListening: () => void): this {
    const { isOurs, onOurs, onListening: onBegun } = this.#options
    this.#waiting.push(onListening)
    if (this.#waiting.length > 1) return this
    this.#isClosed = false
    this.#opening += 1
    const opening = this.#opening
    const isOver = () => this.#isClosed || opening !== this.#opening
    onBegun(this)
    const { host = '::', port } = options
    if (isOurs(options)) {
      this.#listenAll(options, { address: host, family: host.includes(':') ? 'IPv6' : 'IPv4', port })
      return this
    }
    // Threads share the address with whoever else wants to. So first one takes it alone: another program that has it is found,
    // and so is the number of a port that anybody may choose.
    const probe = createServer()
    probe.once('error', error => {
      if (!isOver()) this.#fail(error)
    })
    probe.listen(options, () => {
      const address = probe.address()
      probe.close(() => {
        if (address === null || typeof address === 'string' || isOver()) return
        const taken = { ...options, port: address.port }
        onOurs(taken)
        this.#listenAll(taken, address)
      })
    })
    return this
  }

  #listenAll(options: ListenOptions, address: AddressInfo): void {
    const threads = this.#options.threads()
    this.#listens = { options, address, due: new Set(threads.map(({ number }) => number)) }
    for (const thread of threads) this.listenOn(thread)
  }

  /** Also for a thread that takes the place of one that died. */
  listenOn(thread: ServingThread): void {
    if (this.#listens === undefined) return
    const listen = { ...this.#listens.options, reusePort: true }
    thread.post({ do: 'listen', server: this.id, serve: this.#options.serve, listen })
  }

  listensOn(thread: number): void {
    if (this.#listens?.due.delete(thread) !== true || this.#listens.due.size > 0) return
    this.listening = true
    this.#tellListening()
  }

  /** False: a thread that came later than the others, which do listen. */
  failsOn(thread: number, error: NodeJS.ErrnoException): boolean {
    if (this.#listens?.due.has(thread) !== true) return false
    this.#waiting = []
    this.close()
    this.emit('error', error)
    return true
  }

  take(wire: Wire): void {
    if (this.#listens === undefined) wire.destroy()
    else this.#options.onWire(wire)
  }

  close(): this {
    if (this.#isClosed) return this
    this.#isClosed = true
    this.listening = false
    this.#listens = undefined
    for (const thread of this.#options.threads()) thread.post({ do: 'stop-listening', server: this.id })
    this.#options.onClosed(this)
    this.#tellListening()
    return this
  }

  #tellListening(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const tell of waiting) tell()
  }

  #fail(error: NodeJS.ErrnoException): void {
    this.#isClosed = true
    this.#waiting = []
    this.#options.onClosed(this)
    this.emit('error', error)
  }
}
