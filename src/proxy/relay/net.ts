// The relay on Node's own sockets, both made with allowHalfOpen. No pipe: it hides resets and buffers on its own.
// Exact back-pressure: a side is not read while a piece of its data is still waiting to be taken by the kernel.

import type { Socket } from 'node:net'
import type { Clock } from '../../platform/clock.ts'
import { sayFarewell } from '../farewell.ts'
import type { CloseKind, HalfClose, Observer, Relay, RelayCounters, RelayEnd, RelayOptions } from './relay.ts'

/** ReadyForQuery without its last byte, the transaction status. */
const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5])
const READY_BYTES = 6
/** `I`: outside of a transaction. */
const NO_TRANSACTION = 0x49
/** How long a slow client may take for what the server sent before it vanished. */
const DELIVERY_MS = 30_000

/** One relay for one session. `clock` is only used for the farewell to a client that is cut. */
export class NetRelay implements Relay {
  readonly #clock: Clock
  readonly #options: RelayOptions
  #observer: Observer | undefined
  #isClear = false
  /** Did the server's last piece end with ReadyForQuery? Only the last six bytes are looked at. */
  #isReady = false
  /** Did it also say that no transaction is open, and has the client asked for nothing since? */
  #isIdle = false
  #holdsWhenIdle = false
  #toServerBytes = 0
  #toClientBytes = 0
  #lastActivityMs: number
  #isPaused = false
  /** Is a side not read because its last piece has not been taken by the kernel of the other? */
  #isClientWaiting = false
  #isServerWaiting = false
  #isEnding = false
  #isClosing = false
  #open = 2

  constructor(clock: Clock, options: RelayOptions) {
    this.#clock = clock
    this.#options = options
    this.#observer = options.observer
    this.#lastActivityMs = options.monotonicMs()
  }

  start(early: Buffer): void {
    const { client, server } = this.#options
    client.on('data', this.#onClientData)
    client.on('end', () => this.#onEnd('client-closed', server))
    client.on('error', this.#onClientError)
    client.once('close', this.#onSocketClosed)
    server.on('data', this.#onServerData)
    server.on('end', () => this.#onEnd('server-closed', client))
    server.on('error', this.#onServerError)
    server.once('close', this.#onSocketClosed)
    client.resume()
    server.resume()
    if (!this.#mayPass()) return
    this.#toServerBytes += early.length
    server.write(early)
  }

  pause(): void {
    this.#isPaused = true
    this.#options.client.pause()
    this.#options.server.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#resume()
  }

  counters(): RelayCounters {
    return {
      toServerBytes: this.#toServerBytes,
      toClientBytes: this.#toClientBytes,
      lastActivityMs: this.#lastActivityMs,
    }
  }

  isIdle(): boolean {
    return this.#observer === undefined && this.#isClear && this.#isIdle
  }

  holdWhenIdle(isOn: boolean): void {
    if (this.#holdsWhenIdle === isOn) return
    this.#holdsWhenIdle = isOn
    if (isOn && this.isIdle()) this.#options.client.pause()
    if (!isOn) this.#resume()
  }

  close(kind: CloseKind, lastWords?: Buffer): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#end('cut')
    const { client, server } = this.#options
    if (kind === 'finish') {
      sayFarewell(this.#clock, client, undefined, DELIVERY_MS)
      sayFarewell(this.#clock, server, undefined, DELIVERY_MS)
      return
    }
    if (kind === 'reset') client.resetAndDestroy()
    else sayFarewell(this.#clock, client, this.#canSpeak() ? lastWords : undefined)
    // After the words and the FIN (which leave in the next round of the loop) to all the clients that are cut in this turn:
    // each reset wakes a server process to its end, and hundreds of them would take the processor from us in the middle
    // of it. No byte passes any more in either case.
    setImmediate(() => setImmediate(() => server.resetAndDestroy()))
  }

  /** May a message of ours follow what the client has got? Only in clear text and between two messages. */
  #canSpeak(): boolean {
    if (this.#observer !== undefined) return this.#observer.isAtBoundary()
    return this.#isClear && this.#isReady
  }

  readonly #onClientData = (chunk: Buffer): void => {
    if (!this.#mayPass()) return
    const { client, server } = this.#options
    this.#observer?.fromClient(chunk)
    this.#dropObserver()
    this.#isIdle = false
    this.#toServerBytes += chunk.length
    server.write(chunk, this.#onServerTook)
    if (server.writableLength > 0) {
      this.#isClientWaiting = true
      client.pause()
    }
  }

  readonly #onServerData = (chunk: Buffer): void => {
    if (!this.#mayPass()) return
    const { client, server } = this.#options
    if (this.#observer?.fromServer(chunk) === false) {
      this.#end('refused')
      return
    }
    // What the observer told may have cut this very session.
    if (this.#isClosing) return
    this.#dropObserver()
    if (this.#isClear) {
      this.#isReady = endsReady(chunk)
      this.#isIdle = this.#isReady && chunk[chunk.length - 1] === NO_TRANSACTION
      if (this.#isIdle && this.#holdsWhenIdle) client.pause()
    }
    this.#toClientBytes += chunk.length
    client.write(chunk, this.#onClientTook)
    if (client.writableLength > 0) {
      this.#isServerWaiting = true
      server.pause()
    }
  }

  /** The check in the path of every byte: after any pause of the process it comes before the first of them. */
  #mayPass(): boolean {
    if (this.#isClosing) return false
    this.#lastActivityMs = this.#options.monotonicMs()
    if (this.#options.passage.isOpen()) return true
    this.#end('gate-closed')
    return false
  }

  #dropObserver(): void {
    if (this.#observer?.isOver() !== true) return
    this.#isClear = this.#observer.isClear()
    this.#isReady = this.#isClear
    this.#observer = undefined
  }

  readonly #onServerTook = (): void => {
    if (!this.#isClientWaiting || this.#options.server.writableLength > 0) return
    this.#isClientWaiting = false
    this.#resume()
  }

  readonly #onClientTook = (): void => {
    if (!this.#isServerWaiting || this.#options.client.writableLength > 0) return
    this.#isServerWaiting = false
    this.#resume()
  }

  #resume(): void {
    if (this.#isPaused) return
    const isHeld = this.#holdsWhenIdle && this.#isIdle && this.#observer === undefined
    if (!this.#isClientWaiting && !isHeld) this.#options.client.resume()
    if (!this.#isServerWaiting) this.#options.server.resume()
  }

  #onEnd(why: HalfClose, other: Socket): void {
    if (!this.#isClosing) this.#options.onHalfClosed(why)
    if (!this.#isClosing && !other.destroyed) other.end()
  }

  /** A vanished client: the server must learn it now, not at its next write. */
  readonly #onClientError = (): void => {
    this.#end('client-reset')
    this.#options.server.resetAndDestroy()
  }

  /** A vanished server: the client gets what was read, then FIN. A reset could destroy an error it has not read yet. */
  readonly #onServerError = (): void => {
    this.#end('server-reset')
    if (!this.#isClosing) {
      sayFarewell(this.#clock, this.#options.client, undefined, DELIVERY_MS)
    }
  }

  readonly #onSocketClosed = (): void => {
    this.#open -= 1
    if (this.#open === 0) this.#options.onClosed()
  }

  #end(why: RelayEnd): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#options.onEnding(why)
  }
}

/**
 * Looks at the last six bytes alone. The same six bytes may stand inside a long row that was cut in two right there: our
 * last words would then fill up that row. The client gets a broken row and the end of its connection instead of the end
 * alone; both tell it that the answer is not whole.
 */
function endsReady(chunk: Buffer): boolean {
  const at = chunk.length - READY_BYTES
  return at >= 0 && chunk.compare(READY_FOR_QUERY, 0, 5, at, at + 5) === 0
}
