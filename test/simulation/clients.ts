// Clients that write one numbered row after another and remember what was acknowledged to them. Most go through proxies;
// one goes straight to the servers, as an application with a list of hosts does.

import type { Process } from './core/machine.ts'
import type { Random } from './core/random.ts'
import type { SimMember } from './member.ts'
import type { WorldParts } from './parts.ts'
import type { Backend, WriteResult } from './postgres/backend.ts'
import type { ClientWrite } from './postgres/data-directory.ts'
import type { SimProxy } from './proxy.ts'
import type { ProxySession, SessionOwner } from './session.ts'

const OPERATION_MS = 5_000
/** Not every application has a deadline for its statements. */
export const PATIENT_MS = 25_000
const AGAIN_MS = 300
const BUSY_CHANCE = 0.02

export interface ClientListener {
  /** A proxy has passed on an acknowledgement that was written under this promotion. */
  onForwarded(proxy: SimProxy, write: ClientWrite, reign: number): void
}

/** Hands out row numbers and keeps every row. */
export class Rows {
  readonly writes: ClientWrite[] = []

  next(): ClientWrite {
    const write = { id: this.writes.length + 1, isAcknowledged: false }
    this.writes.push(write)
    return write
  }
}

interface ClientParts {
  readonly process: Process
  readonly random: Random
  readonly rows: Rows
  readonly everyMs: number
}

function busyMs(random: Random): number {
  return random.chance(BUSY_CHANCE) ? random.between(1_000, 3_000) : random.between(0.5, 10)
}

export class ProxyClient implements SessionOwner {
  readonly #parts: ClientParts
  readonly #proxies: readonly SimProxy[]
  readonly #listener: ClientListener
  readonly #patienceMs: number
  #proxy: SimProxy | undefined
  #session: ProxySession | undefined
  #pending: ClientWrite | undefined
  #statement = 0
  acknowledged = 0
  lastAcknowledgedAtMs = 0

  constructor(parts: ClientParts, proxies: readonly SimProxy[], listener: ClientListener) {
    this.#parts = parts
    this.#proxies = proxies
    this.#listener = listener
    this.#patienceMs = parts.random.pick([OPERATION_MS, PATIENT_MS])
  }

  start(): void {
    const { process, random } = this.#parts
    this.#session = undefined
    this.#pending = undefined
    this.#proxy = random.pick(this.#proxies)
    const session = this.#proxy.open(this)
    if (session === undefined) process.later(AGAIN_MS, () => this.start())
    else this.#session = session
  }

  onReady(): void {
    this.#next()
  }

  onAnswer(write: ClientWrite, result: WriteResult, reign: number): void {
    if (write !== this.#pending || this.#proxy === undefined) return
    this.#pending = undefined
    if (result === 'read-only') {
      this.#session?.drop()
      return
    }
    this.acknowledged += 1
    this.lastAcknowledgedAtMs = this.#parts.process.machine.scheduler.nowMs
    this.#listener.onForwarded(this.#proxy, write, reign)
    this.#next()
  }

  onClosed(): void {
    this.#parts.process.later(AGAIN_MS, () => this.start())
  }

  #next(): void {
    const { process, random, rows, everyMs } = this.#parts
    this.#statement += 1
    const statement = this.#statement
    const session = this.#session
    process.later(random.between(0.2, 1.8) * everyMs, () => {
      if (session !== this.#session || session === undefined) return
      const write = rows.next()
      this.#pending = write
      session.write(write, busyMs(random))
      process.later(this.#patienceMs, () => {
        if (statement === this.#statement && this.#pending === write) session.drop()
      })
    })
  }
}

/** Asks one server after the other for one that is no standby, and stays there as long as it answers. */
export class DirectClient {
  readonly #parts: ClientParts
  readonly #world: WorldParts
  readonly #members: readonly SimMember[]
  #at = 0
  #backend: Backend | undefined

  constructor(parts: ClientParts, world: WorldParts, members: readonly SimMember[]) {
    this.#parts = parts
    this.#world = world
    this.#members = members
  }

  start(): void {
    const { process } = this.#parts
    const member = this.#members[this.#at % this.#members.length]
    this.#at += 1
    this.#backend = undefined
    const again = () => process.later(AGAIN_MS, () => this.start())
    if (member === undefined || !this.#reaches(member) || member.server.process.isFrozen) {
      again()
      return
    }
    const backend = member.server.connect(() => {
      if (this.#backend === backend) this.start()
    })
    if (backend === undefined || backend.isStandby) {
      backend?.end()
      again()
      return
    }
    this.#backend = backend
    this.#next(member, backend)
  }

  #next(member: SimMember, backend: Backend): void {
    const { process, random, rows, everyMs } = this.#parts
    process.later(random.between(0.2, 1.8) * everyMs, () => {
      if (this.#backend !== backend) return
      let isOver = false
      const giveUp = () => {
        if (isOver || this.#backend !== backend) return
        isOver = true
        this.start()
      }
      process.later(OPERATION_MS, giveUp)
      if (!this.#reaches(member)) return
      backend.write(rows.next(), busyMs(random), result => {
        if (isOver || this.#backend !== backend || !this.#reaches(member)) return
        if (result === 'read-only') giveUp()
        else {
          isOver = true
          this.#next(member, backend)
        }
      })
    })
  }

  #reaches(member: SimMember): boolean {
    return this.#world.network.connects(this.#parts.process.machine.name, member.machine.name)
  }
}
