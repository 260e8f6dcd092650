// One session of a modelled proxy, with the steps of src/proxy/session.ts and the passage check of its relay.

import type { Cuttable, Gate, Backend as ProxyBackend } from '../../src/proxy/backend.ts'
import type { HoldQueue } from '../../src/proxy/hold.ts'
import { checkStep, type SessionState } from '../../src/proxy/session-state.ts'
import type { Process } from './core/machine.ts'
import type { Network } from './core/network.ts'
import type { Backend, WriteResult } from './postgres/backend.ts'
import type { ClientWrite } from './postgres/data-directory.ts'
import type { SimServer } from './postgres/server.ts'
import type { PostgresWorld } from './postgres/world.ts'

/** The client at the other end. */
export interface SessionOwner {
  onReady(): void
  onAnswer(write: ClientWrite, result: WriteResult, reign: number): void
  onClosed(why: string): void
}

export interface SessionParts {
  readonly process: Process
  readonly network: Network
  readonly postgres: PostgresWorld
  readonly hold: HoldQueue<ProxySession>
  readonly owner: SessionOwner
  choose(tried: ReadonlySet<string>): ProxyBackend | undefined
  onRefused(backend: ProxyBackend): void
  /** A server has just sent the answer to a statement. */
  onAnswerLeaves(server: SimServer): void
  onEnded(session: ProxySession): void
}

const CONNECT_TIMEOUT_MS = 4_000

export class ProxySession implements Cuttable {
  readonly listener = 'write'
  readonly isIdle = false
  readonly #parts: SessionParts
  readonly #tried = new Set<string>()
  #state: SessionState = 'startup'
  #heldSinceMs: number | undefined
  #backend: ProxyBackend | undefined
  /** Of the term in which it began to connect. */
  #gate: Gate | undefined
  #server: Backend | undefined
  /** Tells a connection attempt from those before it. */
  #attempt = 0

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  get state(): SessionState {
    return this.#state
  }

  get hasBegun(): boolean {
    return this.#state === 'streaming'
  }

  wake(): void {
    if (this.#state === 'held') this.seek()
  }

  expire(): void {
    if (this.#state === 'held') this.#close('no backend within the time to wait')
  }

  cut(reason: string, _says?: string, onCut?: () => void): boolean {
    if (this.#state === 'streaming') {
      this.#close(reason)
      onCut?.()
      return true
    }
    if (this.#state === 'connecting') {
      this.#leaveBackend()
      this.#wait()
    }
    return false
  }

  seek(): void {
    if (this.#state === 'closed') return
    const backend = this.#parts.choose(this.#tried)
    if (backend === undefined) this.#wait()
    else this.#connect(backend)
  }

  /** The client sends a statement. */
  write(write: ClientWrite, busyMs: number): void {
    this.#parts.process.deliver(() => {
      const backend = this.#backend
      if (this.#state !== 'streaming' || backend === undefined || !this.#mayPass()) return
      const server = this.#server
      const { network, process } = this.#parts
      if (server === undefined) return
      const there = server.server.machine.name
      network.send(process.machine.name, there, () =>
        server.write(write, busyMs, result => {
          const { reign } = server.server.data ?? { reign: 0 }
          this.#parts.onAnswerLeaves(server.server)
          network.send(there, process.machine.name, () =>
            process.deliver(() => this.#onAnswer(backend, write, result, reign)),
          )
        }),
      )
    })
  }

  /** The client hangs up, or the proxy's process is gone. */
  drop(): void {
    if (this.#state === 'closed') return
    this.#close('dropped')
  }

  #onAnswer(backend: ProxyBackend, write: ClientWrite, result: WriteResult, reign: number): void {
    if (this.#state !== 'streaming' || this.#backend !== backend || !this.#mayPass()) return
    this.#parts.owner.onAnswer(write, result, reign)
  }

  /** The check in the path of every byte. */
  #mayPass(): boolean {
    if (this.#gate?.isOpen() === true) return true
    this.#close('evidence-expired')
    return false
  }

  #wait(): void {
    if (this.#state !== 'held') this.#to('held')
    this.#tried.clear()
    const { hold, process } = this.#parts
    this.#heldSinceMs ??= process.monotonicMs()
    if (!hold.offer(this, this.#heldSinceMs)) this.#close('the queue is full, or its time is up')
  }

  #connect(backend: ProxyBackend): void {
    this.#to('connecting')
    this.#attempt += 1
    const attempt = this.#attempt
    this.#backend = backend
    this.#gate = backend.gate
    backend.join(this)
    const { process, network, postgres } = this.#parts
    const isCurrent = () => this.#state === 'connecting' && this.#attempt === attempt
    const fail = () => {
      if (!isCurrent()) return
      timer.cancel()
      this.#refused(backend)
    }
    const timer = process.setTimer(CONNECT_TIMEOUT_MS, fail)
    const server = postgres.at(backend.address)
    if (server === undefined) return
    const here = process.machine.name
    network.send(here, server.machine.name, () =>
      server.process.deliver(() => {
        const connected = server.connect(() => this.#onServerEnded(server))
        network.send(server.machine.name, here, () =>
          process.deliver(() => {
            if (connected === undefined) fail()
            else if (isCurrent()) {
              timer.cancel()
              this.#stream(backend, connected)
            } else connected.end()
          }),
        )
      }),
    )
  }

  #refused(backend: ProxyBackend): void {
    this.#tried.add(backend.name)
    this.#leaveBackend()
    this.#to('held')
    this.#parts.onRefused(backend)
    this.seek()
  }

  #stream(backend: ProxyBackend, server: Backend): void {
    if (this.#gate?.isOpen() !== true) {
      server.end()
      this.#leaveBackend()
      this.#wait()
      return
    }
    this.#to('streaming')
    backend.startedTotal += 1
    this.#server = server
    if (server.isStandby) {
      this.#parts.onRefused(backend)
      this.#close('its server answered as a standby')
      return
    }
    this.#parts.owner.onReady()
  }

  /** The server's process is gone: the kernel of a machine that can be reached says so. */
  #onServerEnded(server: SimServer): void {
    const { network, process } = this.#parts
    network.send(server.machine.name, process.machine.name, () =>
      process.deliver(() => {
        if (this.#state === 'streaming' && this.#server?.isAlive === false) this.#close('server-closed')
      }),
    )
  }

  #leaveBackend(): void {
    this.#backend?.leave(this)
    this.#backend = undefined
  }

  #close(why: string): void {
    if (this.#state === 'closed') return
    if (this.#state === 'held') this.#parts.hold.leave(this)
    this.#leaveBackend()
    const server = this.#server
    this.#server = undefined
    // A reset reaches the server if the network lets it through.
    if (server !== undefined) {
      const { network, process } = this.#parts
      network.send(process.machine.name, server.server.machine.name, () => server.end())
    }
    this.#to('closed')
    this.#parts.onEnded(this)
    this.#parts.owner.onClosed(why)
  }

  #to(next: SessionState): void {
    checkStep(this.#state, next)
    this.#state = next
  }
}
