// One client from accept to close: first packet, a backend or a place in the queue, the relay, the last words.
// Each session holds one slot of its listener until it drains, and gives it back exactly once.

import type { Timer } from '../platform/clock.ts'
import { Arrival, NONE } from './arrival.ts'
import type { Backend, Cuttable, Gate } from './backend.ts'
import type { CarryListener } from './carry.ts'
import { type ConnectFailure, type Connecting, type ConnectListener, connectTo } from './connect.ts'
import type { CutReason } from './cut-reason.ts'
import { type FatalError, printFatal } from './error-response.ts'
import { sayFarewell } from './farewell.ts'
import type { HoldQueue } from './hold.ts'
import type { IdleReason, IdleWatch } from './idle-watch.ts'
import type { InletListener } from './inlet.ts'
import { answeredAsStandby, cutWords, garbled, serversFull, shuttingDown, unavailable } from './last-words.ts'
import type { Seeker } from './pool.ts'
import { type Endpoints, printProxyHeader } from './proxy-protocol.ts'
import { refuse } from './refusal.ts'
import type { HalfClose, Relay, RelayCounters, RelayEnd } from './relay/relay.ts'
import type { Wire } from './relay/wire.ts'
import { connectOptions, type SessionHost } from './session-host.ts'
import { checkStep, type SessionState } from './session-state.ts'
import type { FirstPacket } from './startup.ts'

const LOCAL_RETRY_MS = 100

export class Session implements Cuttable, Seeker, InletListener, ConnectListener, CarryListener {
  readonly id: number
  readonly #host: SessionHost
  readonly #client: Wire
  /** Until it has a server. */
  #arrival: Arrival | undefined
  #state: SessionState = 'startup'
  #retryTimer: Timer | undefined
  #idle: IdleWatch | undefined
  /** From a PROXY header where there is one. */
  #endpoints: Endpoints | undefined
  #heldSinceMs: number | undefined
  #failures = 0
  #backend: Backend | undefined
  #gate: Gate | undefined
  #isFallback = false
  #connecting: Connecting | undefined
  #cancelKey: string | undefined
  #relay: Relay | undefined
  #why: string | undefined

  constructor(id: number, client: Wire, host: SessionHost) {
    this.id = id
    this.#client = client
    this.#host = host
    this.#arrival = new Arrival(client, this, host, () => this.#closeNow('startup-timeout'))
  }

  /** Servers that did not take it. */
  get tried(): ReadonlySet<string> {
    return this.#arrival?.tried ?? NONE
  }

  /** Its first packet, until it has a server. */
  get first(): FirstPacket | undefined {
    return this.#arrival?.first
  }

  get state(): SessionState {
    return this.#state
  }

  get listener(): string {
    return this.#host.listener
  }

  /** The client's address, from a PROXY header where there is one. */
  get source(): string {
    return this.#addresses().source
  }

  get backend(): Backend | undefined {
    return this.#backend
  }

  get hasBegun(): boolean {
    return this.#state === 'streaming'
  }

  get isIdle(): boolean {
    return this.#relay?.isIdle() === true
  }

  /** Is it on the leader because its pool was empty? */
  get isFallback(): boolean {
    return this.#isFallback && this.#state === 'streaming'
  }

  holdWhenIdle(isOn: boolean): void {
    if (isOn && this.#state === 'connecting' && this.#host.hold.takes(this.#heldSinceMs)) {
      this.#abortConnect()
      this.#wait(this.#host.hold)
    } else this.#relay?.holdWhenIdle(isOn)
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

  /** Its time in the queue for full servers is up. */
  expireFull(): void {
    if (this.#state === 'held') this.#refuse(serversFull(this.#host.listener), 'queue-timeout')
  }

  cut(reason: CutReason, says: string, onCut?: () => void): boolean {
    if (this.#state === 'streaming') {
      this.#why = reason
      if (this.#relay === undefined) onCut?.()
      else this.#relay.close('cut', cutWords(reason, says), onCut)
      return true
    }
    if (this.#state === 'connecting') {
      this.#abortConnect()
      this.#to('held')
      // A pool may have another server, a leader is waited for.
      if (reason === 'left-pool') this.#seek()
      else this.#wait(this.#host.hold)
    }
    return false
  }

  /** Ends it if it is idle: a server of its own pool is there again. */
  shed(says: string): void {
    this.#relay?.closeIfIdle(cutWords('shed', says))
  }

  /** Ends it without ceremony: there are too many sessions that only say farewell. */
  destroy(): void {
    this.#client.destroy()
    this.#relay?.close('reset')
  }

  /** The proxy stops: a session that has no server yet is told so, any other is cut. */
  stop(says: string): void {
    if (this.#state === 'draining' || this.#state === 'closed') return
    if (this.#state === 'streaming' && this.cut('proxy-stops', says)) return
    this.#giveUp()
    this.#refuse(shuttingDown(says), 'proxy-stops')
  }

  #to(next: SessionState): void {
    checkStep(this.#state, next)
    this.#state = next
    if (next === 'draining') this.#host.onDraining(this)
  }

  onHeader(endpoints: Endpoints | undefined): boolean {
    if (endpoints !== undefined) this.#endpoints = endpoints
    if (this.#host.admits(this.source)) return true
    this.#closeNow('denied')
    return false
  }

  onNoHeader(): void {
    this.#closeNow('no-proxy-header')
  }

  onPacket(packet: FirstPacket): void {
    this.#arrival?.met(packet)
    if (packet.kind === 'cancel') this.#cancel(packet.processId, packet.secret)
    else if (packet.kind === 'garbage') this.#refuse(garbled(packet.why), 'garbage')
    else this.#seek()
  }

  /** Closes a client that gets no word. */
  #closeNow(why: string): void {
    if (this.#state !== 'startup') return
    this.#why = why
    this.#to('draining')
    this.#arrival?.release()
    this.#farewell()
  }

  #farewell(): void {
    sayFarewell({ clock: this.#host.clock, wire: this.#client, next: this })
  }

  /** The client hung up before it had a server: its place and its connection attempt are given up. */
  onGone(): void {
    this.#why ??= 'client-closed'
    this.#giveUp()
    this.#client.destroy()
  }

  #cancel(processId: number, secret: string): void {
    this.#why = 'cancel-request'
    this.#to('draining')
    this.#arrival?.release()
    // `cancel` never rejects. The client waits for our close to know that its request was delivered.
    void this.#host.cancel(processId, secret, this.source).then(() => this.#farewell())
  }

  #seek(): void {
    this.#connectOr(isFull => this.#wait(isFull ? this.#host.queue : this.#host.hold))
  }

  #wait(queue: HoldQueue<Session>): void {
    if (this.#state !== 'held') this.#to('held')
    this.#arrival?.forgetTried()
    if (this.#heldSinceMs === undefined) this.#host.onHeld()
    this.#heldSinceMs ??= this.#host.clock.monotonicMs()
    if (queue.offer(this, this.#heldSinceMs)) return
    if (queue === this.#host.queue) this.expireFull()
    else this.#refuseUnavailable()
  }

  #connect(backend: Backend, isFallback: boolean): void {
    this.#to('connecting')
    this.#backend = backend
    this.#gate = backend.gate
    this.#isFallback = isFallback
    backend.join(this)
    const { clock, transport } = this.#host
    const options = connectOptions(this.#host, backend, this.#client)
    this.#connecting = connectTo(clock, transport, backend.address, options, this)
  }

  onFailed({ why, isEvidence, pauseMs }: ConnectFailure): void {
    const backend = this.#backend
    if (backend === undefined) return
    this.#abortConnect()
    this.#failures += 1
    this.#to('held')
    if (!isEvidence) {
      this.#host.onLocalFailure(why)
      this.#retryLater(LOCAL_RETRY_MS)
      return
    }
    backend.connectFailuresTotal += 1
    this.#arrival?.noteTried(backend.name)
    this.#host.onRefused(backend, why)
    const { retries, hold } = this.#host
    // Those who may wait in the queue are woken from there; the others have their attempts.
    if (hold.holdMs > 0) this.#seek()
    else if (this.#failures > retries) this.#refuseUnavailable()
    else this.#connectOr(() => this.#retryLater(pauseMs))
  }

  /** Those who may not wait try again as often as their listener allows, the others (whose host fails) while they may wait. */
  #retryLater(delayMs: number): void {
    const { clock, retries, hold } = this.#host
    this.#heldSinceMs ??= clock.monotonicMs()
    const waitedMs = clock.monotonicMs() - this.#heldSinceMs
    if (hold.holdMs === 0 ? this.#failures > retries : waitedMs >= hold.holdMs) {
      this.#refuseUnavailable()
      return
    }
    this.#retryTimer = clock.setTimer(delayMs, () => {
      if (this.#state !== 'held') return
      this.#arrival?.forgetTried()
      this.#connectOr(isFull => {
        this.#failures += 1
        if (hold.holdMs > 0 || isFull) this.#seek()
        else this.#retryLater(delayMs)
      })
    })
  }

  #connectOr(otherwise: (isFull: boolean) => void): void {
    const choice = this.#host.choose(this)
    if (choice.kind === 'backend') this.#connect(choice.backend, choice.isFallback)
    else otherwise(choice.kind === 'full')
  }

  #abortConnect(): void {
    this.#connecting?.abort()
    this.#connecting = undefined
    this.#leaveBackend()
  }

  #leaveBackend(): void {
    this.#backend?.leave(this)
    if (this.#cancelKey !== undefined) this.#host.cancels.delete(this.#cancelKey)
  }

  #giveUp(): void {
    this.#abortConnect()
    this.#retryTimer?.cancel()
    this.#host.hold.leave(this)
    this.#host.queue.leave(this)
  }

  onConnected(server: Wire): void {
    this.#connecting = undefined
    const backend = this.#backend
    const arrival = this.#arrival
    const gate = this.#gate
    if (backend === undefined || arrival?.first === undefined || gate?.isOpen() !== true) {
      server.destroy()
      this.#leaveBackend()
      this.#wait(this.#host.hold)
      return
    }
    this.#to('streaming')
    const { first } = arrival
    backend.begun(this, first.kind !== 'startup')
    this.#host.onConnected(backend)
    const early = arrival.handOver()
    this.#arrival = undefined
    const { clock, timeouts, isWrite } = this.#host
    const { sendProxy } = this.#host.wayTo(backend)
    if (sendProxy !== undefined) server.write(printProxyHeader(sendProxy, this.#addresses()))
    const parts = { clock, timeouts, isWrite, client: this.#client, server, gate, first, early }
    const { relay, idle } = this.#host.carry({ ...parts, serverName: backend.name, listener: this })
    this.#relay = relay
    this.#idle = idle
    relay.start(early)
    if (backend.holdsIdle) relay.holdWhenIdle(true)
  }

  onCancelKey(key: string): void {
    if (this.#backend === undefined || this.#gate === undefined || this.#state !== 'streaming') return
    this.#cancelKey = key
    this.#backend.logins.end(this)
    this.#host.cancels.add(key, this.#backend, this.#gate)
  }

  onServerRefused(why: string): void {
    if (this.#backend !== undefined) this.#host.onRefused(this.#backend, why)
  }

  onIdle(why: IdleReason): void {
    this.#why = why
  }

  onHalfClosed(why: HalfClose): void {
    this.#why ??= why
    this.#idle?.onHalfClosed()
  }

  /** Not called for half-closed sessions: their server process lives on and can still be cut. */
  onEnding(why: RelayEnd): void {
    // Everybody else who cuts has said why before.
    this.#why = why === 'cut' ? (this.#why ?? 'shed') : why
    this.#idle?.stop()
    this.#to('draining')
    this.#leaveBackend()
    if (why === 'gate-closed') {
      const closed = this.#gate?.closedBecause
      const reason = closed?.reason ?? 'evidence-expired'
      this.#why = reason
      this.#relay?.close('cut', cutWords(reason, closed?.says ?? this.#host.explain()))
    }
    if (why === 'refused') this.#relay?.close('cut', printFatal(answeredAsStandby(this.#backend?.name)))
  }

  onRelayClosed(): void {
    this.#close('client-closed')
  }

  /** The client is gone; while a relay has it, the relay's own end counts. */
  onClosed(): void {
    if (this.#relay === undefined) this.#close('client-closed')
  }

  #addresses(): Endpoints {
    this.#endpoints ??= this.#client.endpoints()
    return this.#endpoints
  }

  #refuseUnavailable(): void {
    this.#refuse(unavailable(this.#host.explain()), 'no-backend')
  }

  #refuse(error: FatalError, why: string): void {
    const { clock, plainErrors, closesSilently } = this.#host
    this.#why = why
    this.#retryTimer?.cancel()
    this.#to('draining')
    this.#arrival?.release()
    const isSilent = closesSilently && (why === 'no-backend' || why === 'queue-timeout')
    if (this.first === undefined || isSilent) this.#farewell()
    else refuse({ clock, client: this.#client, first: this.first, error, plainErrors, next: this })
  }

  #close(why: string): void {
    if (this.#state === 'closed') return
    this.#arrival?.release()
    this.#idle?.stop()
    this.#giveUp()
    this.#to('closed')
    this.#host.onEnded(this, this.#why ?? why)
  }
}
