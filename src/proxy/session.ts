// One client from accept to close: first packet, a backend or a place in the queue, the relay, the last words.
// Each session holds one slot of its listener and gives it back exactly once.

import type { Socket } from 'node:net'
import type { Clock, Timer } from '../platform/clock.ts'
import type { Backend, CutReason, Cuttable } from './backend.ts'
import type { CancelKeys } from './cancel.ts'
import { type Connecting, connectTo } from './connect.ts'
import { type FatalError, printFatal, sqlState } from './error-response.ts'
import { sayFarewell } from './farewell.ts'
import type { HoldQueue } from './hold.ts'
import { Inlet } from './inlet.ts'
import { refuse } from './refusal.ts'
import { NetRelay } from './relay/net.ts'
import type { Relay, RelayCounters, RelayEnd } from './relay/relay.ts'
import { SessionStart } from './session-start.ts'
import { checkStep, type SessionState } from './session-state.ts'
import type { FirstPacket } from './startup.ts'

/** What a session needs from its listener. One object for all sessions of a listener. */
export interface SessionHost {
  readonly clock: Clock
  readonly listener: string
  readonly startupTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly plainErrors: boolean
  /** Is a client whose time in the queue is up just closed? */
  readonly closesSilently: boolean
  /** Are sessions of this listener for the leader alone? */
  readonly isWrite: boolean
  readonly hold: HoldQueue<Session>
  readonly cancels: CancelKeys
  /** A backend for a new session; undefined when there is none now. */
  choose(tried: ReadonlySet<string>): Backend | undefined
  /** Why there is no backend, for people. */
  explain(): string
  cancel(processId: number, secret: string): Promise<void>
  /** The server itself refused or could not be reached: evidence at once. */
  onRefused(backend: Backend, why: string): void
  onHeld(): void
  onEnded(session: Session, why: string): void
}

export class Session implements Cuttable {
  readonly id: number
  readonly #host: SessionHost
  readonly #client: Socket
  readonly #inlet: Inlet
  readonly #tried = new Set<string>()
  #state: SessionState = 'startup'
  #startupTimer: Timer | undefined
  #first: FirstPacket | undefined
  #heldSinceMs: number | undefined
  #backend: Backend | undefined
  #connecting: Connecting | undefined
  #start: SessionStart | undefined
  #relay: Relay | undefined
  #why: string | undefined

  constructor(id: number, client: Socket, host: SessionHost) {
    this.id = id
    this.#client = client
    this.#host = host
    client.on('error', () => {})
    client.once('close', () => {
      if (this.#relay === undefined) this.#close('client-closed')
    })
    this.#startupTimer = host.clock.setTimer(host.startupTimeoutMs, () => this.#onLate())
    this.#inlet = new Inlet(client, {
      onPacket: packet => this.#onPacket(packet),
      onGone: () => this.#onGone(),
    })
  }

  get state(): SessionState {
    return this.#state
  }

  get backend(): Backend | undefined {
    return this.#backend
  }

  counters(): RelayCounters | undefined {
    return this.#relay?.counters()
  }

  /** A backend may be there now: called for each session of the queue, in order, after it was taken out. */
  wake(): void {
    if (this.#state === 'held') this.#seek()
  }

  /** Its time in the queue is up. */
  expire(): void {
    if (this.#state === 'held') this.#refuseUnavailable()
  }

  cut(reason: CutReason, says: string): boolean {
    if (this.#state === 'streaming') {
      this.#why = reason
      this.#relay?.close('cut', printFatal(cutError(reason, says)))
      return true
    }
    if (this.#state === 'connecting') {
      this.#abortConnect()
      this.#wait()
    }
    return false
  }

  /** The proxy stops: a session that has no server yet is told so, any other is cut. */
  stop(says: string): void {
    if (this.cut('proxy-stops', says) || this.#state === 'draining' || this.#state === 'closed') return
    this.#host.hold.leave(this)
    this.#refuse(
      { code: sqlState.cannotConnectNow, message: 'the proxy is shutting down', detail: says },
      'proxy-stops',
    )
  }

  #to(next: SessionState): void {
    checkStep(this.#state, next)
    this.#state = next
  }

  #onPacket(packet: FirstPacket): void {
    this.#startupTimer?.cancel()
    this.#first = packet
    if (packet.kind === 'cancel') {
      this.#cancel(packet.processId, packet.secret)
    } else if (packet.kind === 'garbage') {
      this.#refuse({ code: sqlState.protocolViolation, message: packet.why }, 'garbage')
    } else {
      this.#seek()
    }
  }

  #onLate(): void {
    this.#why = 'startup-timeout'
    this.#to('draining')
    this.#inlet.release()
    sayFarewell(this.#host.clock, this.#client, undefined)
  }

  /** The client hung up before it had a server: its place and its connection attempt are given up. */
  #onGone(): void {
    this.#why ??= 'client-closed'
    this.#abortConnect()
    this.#host.hold.leave(this)
    this.#client.destroy()
  }

  #cancel(processId: number, secret: string): void {
    this.#why = 'cancel-request'
    this.#to('draining')
    this.#inlet.release()
    // `cancel` never rejects. The client waits for our close to know that its request was delivered.
    void this.#host.cancel(processId, secret).then(() => {
      sayFarewell(this.#host.clock, this.#client, undefined)
    })
    this.#client.resume()
  }

  #seek(): void {
    const backend = this.#host.choose(this.#tried)
    if (backend === undefined) this.#wait()
    else this.#connect(backend)
  }

  #wait(): void {
    if (this.#state !== 'held') this.#to('held')
    this.#tried.clear()
    if (this.#heldSinceMs === undefined) {
      this.#heldSinceMs = this.#host.clock.monotonicMs()
      this.#host.onHeld()
    }
    if (!this.#host.hold.offer(this, this.#heldSinceMs)) this.#refuseUnavailable()
  }

  #connect(backend: Backend): void {
    this.#to('connecting')
    this.#backend = backend
    backend.sessions.add(this)
    const { clock, connectTimeoutMs } = this.#host
    this.#connecting = connectTo(clock, backend.address, connectTimeoutMs, {
      onConnected: server => this.#stream(backend, server),
      onFailed: why => this.#onConnectFailed(backend, why),
    })
  }

  #onConnectFailed(backend: Backend, why: string): void {
    backend.connectFailuresTotal += 1
    this.#abortConnect()
    this.#tried.add(backend.name)
    this.#to('held')
    this.#host.onRefused(backend, why)
    this.#seek()
  }

  #abortConnect(): void {
    this.#connecting?.abort()
    this.#connecting = undefined
    this.#leaveBackend()
  }

  #leaveBackend(): void {
    this.#backend?.sessions.delete(this)
    if (this.#start?.cancelKey !== undefined) this.#host.cancels.delete(this.#start.cancelKey)
  }

  #stream(backend: Backend, server: Socket): void {
    this.#connecting = undefined
    const first = this.#first
    if (first === undefined || !backend.gate.isOpen()) {
      server.destroy()
      this.#leaveBackend()
      this.#wait()
      return
    }
    this.#to('streaming')
    backend.startedTotal += 1
    const early = this.#inlet.release()
    this.#start = new SessionStart(first, early, this.#host, backend)
    this.#relay = new NetRelay(this.#host.clock, {
      client: this.#client,
      server,
      passage: backend.gate,
      observer: this.#start,
      monotonicMs: () => this.#host.clock.monotonicMs(),
      onHalfClosed: why => {
        this.#why ??= why
      },
      onEnding: why => this.#onEnding(why),
      onClosed: () => this.#close('client-closed'),
    })
    this.#relay.start(early)
  }

  /** Not called for half-closed sessions: their server process lives on and can still be cut. */
  #onEnding(why: RelayEnd): void {
    if (why !== 'cut') this.#why = why
    this.#to('draining')
    this.#leaveBackend()
    if (why === 'gate-closed')
      this.#relay?.close('cut', printFatal(cutError('evidence-expired', this.#host.explain())))
    if (why === 'refused') {
      const detail = `server ${this.#backend?.name ?? ''} answered as a standby`
      this.#relay?.close('cut', printFatal(unavailable(detail)))
    }
  }

  #refuseUnavailable(): void {
    this.#refuse(unavailable(this.#host.explain()), 'no-backend')
  }

  #refuse(error: FatalError, why: string): void {
    const { clock, plainErrors, closesSilently } = this.#host
    this.#why = why
    this.#startupTimer?.cancel()
    this.#to('draining')
    this.#inlet.release()
    const first = this.#first
    if (first === undefined || (why === 'no-backend' && closesSilently))
      sayFarewell(clock, this.#client, undefined)
    else refuse({ clock, client: this.#client, first, error, plainErrors })
  }

  #close(why: string): void {
    if (this.#state === 'closed') return
    this.#startupTimer?.cancel()
    this.#host.hold.leave(this)
    this.#abortConnect()
    this.#to('closed')
    this.#host.onEnded(this, this.#why ?? why)
  }
}

function cutError(reason: CutReason, says: string): FatalError {
  const why =
    reason === 'proxy-stops' ? 'the proxy is shutting down' : 'its server no longer leads the cluster'
  return { code: sqlState.adminShutdown, message: `terminating connection: ${why}`, detail: says }
}

function unavailable(detail: string): FatalError {
  return { code: sqlState.cannotConnectNow, message: 'no server is available for this connection', detail }
}
