// One listening port: takes clients in within its limits, keeps their sessions, lets held ones go on in order.

import { createServer, type Server, type Socket } from 'node:net'
import type { HostPort } from '../cluster/member.ts'
import { type ListenerConfig, printBind } from '../config/proxy/types.ts'
import type { Clock } from '../platform/clock.ts'
import type { Backend } from './backend.ts'
import { type CancelKeys, forwardCancel } from './cancel.ts'
import { KEEPALIVE_DELAY_MS } from './connect.ts'
import { sqlState } from './error-response.ts'
import type { EventSink } from './events.ts'
import { HoldQueue } from './hold.ts'
import { Inlet } from './inlet.ts'
import { listen } from './listening.ts'
import type { ProxyMetrics } from './metrics.ts'
import type { SessionTotals } from './outage.ts'
import type { Pool } from './pool.ts'
import { refuse } from './refusal.ts'
import { Session, type SessionHost } from './session.ts'

/** As PostgreSQL's authentication_timeout is for later steps: the first packet must be there by then. */
const STARTUP_TIMEOUT_MS = 15_000
const CONNECT_TIMEOUT_MS = 4_000
/** Clients beyond the limit that may be told so at the same time; more are just closed. */
const REFUSALS_MAX = 64
const REFUSAL_PACKET_MS = 2_000

export interface ListenerOptions {
  readonly config: ListenerConfig
  /** The limit on sessions after the limit on descriptors has been looked at. */
  readonly sessionsMax: number
  readonly clock: Clock
  readonly pool: Pool
  readonly cancels: CancelKeys
  readonly events: EventSink
  readonly metrics: ProxyMetrics
  readonly totals: SessionTotals
  readonly explain: () => string
  readonly onRefused: (backend: Backend, why: string) => void
}

export class Listener {
  readonly config: ListenerConfig
  readonly sessionsMax: number
  readonly sessions = new Set<Session>()
  readonly hold: HoldQueue<Session>
  acceptedTotal = 0
  readonly #options: ListenerOptions
  readonly #server: Server
  readonly #host: SessionHost
  #lastSessionId = 0
  #refusals = 0
  #isFull = false

  constructor(options: ListenerOptions) {
    this.#options = options
    this.config = options.config
    this.sessionsMax = options.sessionsMax
    const { holdMs, heldMax } = options.config.onNoBackend
    this.hold = new HoldQueue({
      clock: options.clock,
      capacity: heldMax,
      holdMs,
      onExpired: session => session.expire(),
    })
    this.#host = this.#createHost()
    this.#server = createServer(
      {
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEPALIVE_DELAY_MS,
      },
      client => this.#onClient(client),
    )
  }

  /** Begins to listen. Throws UserError when the address cannot be had. */
  async listen(): Promise<void> {
    const { name, bind } = this.config
    await listen(this.#server, bind, `listeners.${name}.bind`)
  }

  /** Where it listens: the real port when the configured one is 0. */
  get address(): HostPort {
    const bound = this.#server.address()
    const { host, port } = this.config.bind
    return typeof bound === 'object' && bound !== null
      ? { host: bound.address, port: bound.port }
      : { host: host ?? '::', port }
  }

  /** Lets sessions of the queue try again, in order. Cheap when nobody waits. */
  release(): void {
    if (this.hold.size === 0 || this.#options.pool.choose(new Set()) === undefined) return
    for (const session of this.hold.takeAll()) session.wake()
  }

  /** Stops listening and ends every session. */
  stop(says: string): void {
    this.#server.close()
    for (const session of [...this.sessions]) session.stop(says)
  }

  #createHost(): SessionHost {
    const { clock, cancels, config, pool, explain, onRefused, totals, metrics } = this.#options
    return {
      clock,
      listener: config.name,
      startupTimeoutMs: STARTUP_TIMEOUT_MS,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      plainErrors: config.onNoBackend.plainErrors,
      closesSilently: config.onNoBackend.afterHold === 'close',
      isWrite: config.pool === 'leader',
      hold: this.hold,
      cancels,
      choose: tried => pool.choose(tried),
      explain,
      cancel: (processId, secret) => this.#cancel(processId, secret),
      onRefused,
      onHeld: () => {
        totals.held += 1
        metrics.held(config.name)
      },
      onEnded: (session, why) => {
        this.sessions.delete(session)
        const counters = session.counters()
        metrics.ended(config.name, why, counters?.toServerBytes ?? 0, counters?.toClientBytes ?? 0)
      },
    }
  }

  /** A known key goes to its server alone; an unknown one may belong to an encrypted session on any candidate. */
  #cancel(processId: number, secret: string): Promise<void> {
    const { cancels, clock, pool } = this.#options
    const known = cancels.find(processId, secret)
    return forwardCancel(clock, known === undefined ? pool.candidates() : [known], processId, secret)
  }

  #onClient(client: Socket): void {
    this.acceptedTotal += 1
    this.#options.metrics.accepted(this.config.name)
    if (this.sessions.size >= this.sessionsMax) {
      this.#turnAway(client)
      return
    }
    this.#isFull = false
    this.#lastSessionId += 1
    this.sessions.add(new Session(this.#lastSessionId, client, this.#host))
  }

  #turnAway(client: Socket): void {
    this.#tellFull()
    client.on('error', () => {})
    if (this.#refusals >= REFUSALS_MAX) {
      client.destroy()
      return
    }
    this.#refusals += 1
    const { clock } = this.#options
    const timer = clock.setTimer(REFUSAL_PACKET_MS, () => client.destroy())
    client.once('close', () => {
      timer.cancel()
      this.#refusals -= 1
    })
    const inlet = new Inlet(client, {
      onPacket: first => {
        timer.cancel()
        inlet.release()
        const detail = `listener ${this.config.name} has ${this.sessionsMax} sessions, its limit`
        const error = {
          code: sqlState.tooManyConnections,
          message: 'sorry, too many clients already',
          detail,
        }
        refuse({ clock, client, first, error, plainErrors: this.config.onNoBackend.plainErrors })
      },
      onGone: () => client.destroy(),
    })
  }

  /** Once for each time that the limit is reached, not for each client. */
  #tellFull(): void {
    this.#options.metrics.turnedAway(this.config.name)
    if (this.#isFull) return
    this.#isFull = true
    const { name, bind } = this.config
    this.#options.events.record({
      kind: 'limit-reached',
      says: `listener ${name} (${printBind(bind)}) has reached its limit of ${this.sessionsMax} sessions: new clients are turned away`,
      facts: { listener: name, sessions: this.sessionsMax },
    })
  }
}
