// The relay: what one wire reads is written to the other. Exact back-pressure: a side is not read while a piece of its
// data is still waiting to be taken by the kernel, so at most one piece of each direction is in memory.

import type { Clock } from '../../platform/clock.ts'
import { sayFarewell } from '../farewell.ts'
import type {
  CloseKind,
  HalfClose,
  Observer,
  Passage,
  Relay,
  RelayCounters,
  RelayEnd,
  RelayListener,
  RelayOptions,
} from './relay.ts'
import { readSoon, resetSoon } from './reset-soon.ts'
import type { Wire, WireListener } from './wire.ts'

/** How long a slow client may take for what the server sent before it vanished. */
const DELIVERY_MS = 30_000

/** One relay for one session. */
export class WireRelay implements Relay {
  readonly #clock: Clock
  readonly #passage: Passage
  readonly #listener: RelayListener
  readonly #client: Wire
  readonly #server: Wire
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
  #isUnanswered = true
  /** Is a side not read because its last piece has not been taken by the kernel of the other? */
  #isClientWaiting = false
  #isServerWaiting = false
  #isEnding = false
  #isClosing = false
  #open = 2

  constructor(options: RelayOptions) {
    // Not the options as a whole: they would keep the observer, which most sessions outlive by far.
    this.#clock = options.clock
    this.#passage = options.passage
    this.#listener = options.listener
    this.#client = options.client
    this.#server = options.server
    this.#observer = options.observer
    this.#lastActivityMs = options.clock.monotonicMs()
  }

  start(early: Buffer): void {
    this.#client.listener = new ClientSide(this)
    this.#server.listener = new ServerSide(this)
    if (!this.#mayPass()) return
    this.#toServerBytes += early.length
    if (early.length > 0 && !this.#server.write(early)) {
      this.#isClientWaiting = true
      this.#client.stop()
    }
    this.#resume()
  }

  counters(): RelayCounters {
    return {
      toServerBytes: this.#toServerBytes,
      toClientBytes: this.#toClientBytes,
      lastActivityMs: this.#lastActivityMs,
      isUnanswered: this.#isUnanswered,
    }
  }

  isIdle(): boolean {
    return this.#observer === undefined && this.#isClear && this.#isIdle
  }

  holdWhenIdle(isOn: boolean): void {
    if (this.#holdsWhenIdle === isOn) return
    this.#holdsWhenIdle = isOn
    if (isOn && this.isIdle()) this.#client.stop()
    if (!isOn) this.#resume()
  }

  close(kind: CloseKind, lastWords?: Buffer, onDone?: () => void): void {
    if (!this.#isClosing) this.#close(kind, lastWords)
    onDone?.()
  }

  #close(kind: CloseKind, lastWords: Buffer | undefined): void {
    this.#isClosing = true
    this.#end('cut')
    const client = this.#client
    const server = this.#server
    // A piece that the server's kernel has not taken is dropped before the farewell reads on into its buffer.
    if (server.isPending) server.reset()
    if (kind === 'reset') client.reset()
    // What the kernel has not taken belongs to a server that must not be heard any more: it is dropped, and where a piece
    // is missing no words of ours can follow.
    else if (client.isPending) client.destroy()
    else {
      const words = this.#canSpeak() ? lastWords : undefined
      sayFarewell({ clock: this.#clock, wire: client, next: this, lastWords: words })
    }
    if (!server.isDestroyed) resetSoon(this.#clock, server)
    if (!client.isDestroyed) readSoon(this.#clock, client)
  }

  closeIfIdle(lastWords: Buffer): void {
    if (this.isIdle()) this.close('cut', lastWords)
  }

  /** For sides and farewells: one of the two wires is gone. */
  onClosed(): void {
    this.#open -= 1
    if (this.#open === 0) this.#listener.onRelayClosed()
  }

  fromClient(bytes: Buffer): void {
    if (!this.#mayPass()) return
    if (this.#observer !== undefined) {
      this.#observer.fromClient(bytes)
      this.#dropObserver()
    }
    this.#isIdle = false
    this.#isUnanswered = true
    this.#toServerBytes += bytes.length
    if (this.#server.write(bytes)) return
    this.#isClientWaiting = true
    this.#client.stop()
  }

  fromServer(bytes: Buffer): void {
    if (!this.#mayPass()) return
    if (this.#observer !== undefined && !this.#isSeen(this.#observer, bytes)) return
    if (this.#isClear) {
      this.#isReady = endsReady(bytes)
      this.#isIdle = this.#isReady && bytes[bytes.length - 1] === NO_TRANSACTION
      if (this.#isIdle && this.#holdsWhenIdle) this.#client.stop()
    }
    this.#isUnanswered = false
    this.#toClientBytes += bytes.length
    if (this.#client.write(bytes)) return
    this.#isServerWaiting = true
    this.#server.stop()
  }

  clientEnded(): void {
    this.#onEnd('client-closed', this.#server)
  }

  serverEnded(): void {
    this.#onEnd('server-closed', this.#client)
  }

  serverTook(): void {
    this.#isClientWaiting = false
    this.#wentOn()
  }

  clientTook(): void {
    this.#isServerWaiting = false
    this.#wentOn()
  }

  /** A vanished client: the server must learn it now, not at its next write. */
  clientBroke(): void {
    this.#end('client-reset')
    this.#server.reset()
  }

  /** A vanished server: the client gets what was read, then FIN. A reset could destroy an error it has not read yet. */
  serverBroke(): void {
    if (this.#hasLostItsServer()) return
    this.#end('server-reset')
    if (this.#isClosing) return
    sayFarewell({ clock: this.#clock, wire: this.#client, next: this, lingerMs: DELIVERY_MS })
  }

  /** False: nothing of this piece may pass. */
  #isSeen(observer: Observer, bytes: Buffer): boolean {
    if (!observer.fromServer(bytes)) {
      this.#end('refused')
      return false
    }
    // What the observer told may have cut this very session.
    if (this.#isClosing) return false
    this.#dropObserver()
    return true
  }

  /** May a message of ours follow what the client has got? Only in clear text and between two messages. */
  #canSpeak(): boolean {
    if (this.#observer !== undefined) return this.#observer.isAtBoundary()
    return this.#isClear && this.#isReady
  }

  /** The check in the path of every byte: after any pause of the process it comes before the first of them. */
  #mayPass(): boolean {
    if (this.#isClosing) return false
    const nowMs = this.#clock.monotonicMs()
    this.#lastActivityMs = nowMs
    return this.#isOpen(nowMs)
  }

  #isOpen(nowMs: number): boolean {
    if (this.#passage.isOpen(nowMs)) return true
    this.#end('gate-closed')
    return false
  }

  /**
   * Has its gate closed while its turn to be cut has not come? Then this is a cut like any other: the client gets the words, and
   * what it has not taken of a retired server's answers is dropped.
   */
  #hasLostItsServer(): boolean {
    return !this.#isClosing && !this.#isOpen(this.#clock.monotonicMs())
  }

  /**
   * A piece that had to wait is with the kernel, which takes it without asking: after a pause of the process perhaps before
   * anything of ours ran. That piece cannot be called back; the session ends now, not at its next one.
   */
  #wentOn(): void {
    if (!this.#isClosing && this.#isOpen(this.#clock.monotonicMs())) this.#resume()
  }

  #dropObserver(): void {
    if (this.#observer?.isOver() !== true) return
    this.#isClear = this.#observer.isClear()
    this.#isReady = this.#isClear
    this.#observer = undefined
  }

  #resume(): void {
    if (this.#isClosing) return
    const isHeld = this.#holdsWhenIdle && this.#isIdle && this.#observer === undefined
    if (!this.#isClientWaiting && !isHeld) this.#client.start()
    if (!this.#isServerWaiting) this.#server.start()
  }

  #onEnd(why: HalfClose, other: Wire): void {
    if (this.#isClosing || this.#hasLostItsServer()) return
    this.#listener.onHalfClosed(why)
    other.end()
  }

  #end(why: RelayEnd): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#listener.onEnding(why)
  }
}

class ClientSide implements WireListener {
  readonly #relay: WireRelay

  constructor(relay: WireRelay) {
    this.#relay = relay
  }

  onData(bytes: Buffer): void {
    this.#relay.fromClient(bytes)
  }

  onEnd(): void {
    this.#relay.clientEnded()
  }

  onTaken(): void {
    this.#relay.clientTook()
  }

  onBroken(): void {
    this.#relay.clientBroke()
  }

  onClosed(): void {
    this.#relay.onClosed()
  }
}

class ServerSide implements WireListener {
  readonly #relay: WireRelay

  constructor(relay: WireRelay) {
    this.#relay = relay
  }

  onData(bytes: Buffer): void {
    this.#relay.fromServer(bytes)
  }

  onEnd(): void {
    this.#relay.serverEnded()
  }

  onTaken(): void {
    this.#relay.serverTook()
  }

  onBroken(): void {
    this.#relay.serverBroke()
  }

  onClosed(): void {
    this.#relay.onClosed()
  }
}

const READY_BYTES = 6
/** `I`: outside of a transaction. */
const NO_TRANSACTION = 0x49

/**
 * Looks at the last six bytes alone. The same six bytes may stand inside a long row that was cut in two right there: our
 * last words would then fill up that row. The client gets a broken row and the end of its connection instead of the end
 * alone; both tell it that the answer is not whole.
 */
function endsReady(bytes: Buffer): boolean {
  const at = bytes.length - READY_BYTES
  // ReadyForQuery without its last byte, the transaction status.
  return (
    at >= 0 &&
    bytes[at] === 0x5a &&
    bytes[at + 1] === 0 &&
    bytes[at + 2] === 0 &&
    bytes[at + 3] === 0 &&
    bytes[at + 4] === 5
  )
}
