// A modelled proxy: the real router with its gate, session table and hold queue, the real store source and probers. Only
// sockets are modelled. It forwards as the relay does: nothing that the gate does not let pass.

import type { EventDraft } from '../../src/cluster/event.ts'
import { defaultListener } from '../../src/config/proxy/defaults.ts'
import { type ProbeResult, readAnswer } from '../../src/health/document.ts'
import { Prober } from '../../src/health/prober.ts'
import { EtcdSource } from '../../src/proxy/etcd-source.ts'
import { HoldQueue } from '../../src/proxy/hold.ts'
import { Narrator } from '../../src/proxy/narrator.ts'
import { createPool, type Pool } from '../../src/proxy/pool.ts'
import type { RosterMember } from '../../src/proxy/roster.ts'
import { Router } from '../../src/proxy/router.ts'
import { type Machine, Process } from './core/machine.ts'
import { SimDcs } from './etcd/client.ts'
import type { WorldParts } from './parts.ts'
import type { SimServer } from './postgres/server.ts'
import { askRest } from './rest.ts'
import { ProxySession, type SessionOwner } from './session.ts'

const TIMING = { intervalMs: 500, fastIntervalMs: 250, timeoutMs: 500 }
const LIMITS = { rise: 1, fall: 2 }
const HOLD_MS = 10_000
const HELD_MAX = 100

export class SimProxy {
  readonly name: string
  readonly machine: Machine
  readonly #parts: WorldParts
  #life: Life
  #starts = 0

  constructor(parts: WorldParts, machine: Machine) {
    this.name = machine.name
    this.machine = machine
    this.#parts = parts
    this.#life = new Life(parts, machine, 0)
  }

  get process(): Process {
    return this.#life.process
  }

  get router(): Router {
    return this.#life.router
  }

  /** Sessions of clients, waiting ones included. */
  get sessionCount(): number {
    return this.#life.sessionCount
  }

  /** Calls `run` once, when the next answer to a client of this process leaves its server; the result takes that back. */
  trapAnswer(run: (server: SimServer) => void): () => void {
    const life = this.#life
    life.trap = run
    return () => {
      life.trap = undefined
    }
  }

  /** A client connects; undefined when nobody listens. */
  open(owner: SessionOwner): ProxySession | undefined {
    return this.process.isDead ? undefined : this.#life.open(owner)
  }

  kill(): void {
    this.#life.process.kill()
    this.#life.dropClients()
  }

  restart(): void {
    if (!this.process.isDead) return
    this.#starts += 1
    this.#life = new Life(this.#parts, this.machine, this.#starts)
  }
}

/** One process of the proxy, from its start to its end. */
class Life {
  readonly process: Process
  readonly router: Router
  readonly #parts: WorldParts
  readonly #pool: Pool
  readonly #hold: HoldQueue<ProxySession>
  readonly #source: EtcdSource
  readonly #probers = new Map<string, Prober>()
  readonly #sessions = new Set<ProxySession>()
  /** Told of the next answer. */
  trap: ((server: SimServer) => void) | undefined

  constructor(parts: WorldParts, machine: Machine, start: number) {
    const process = new Process(machine.name, machine)
    this.process = process
    this.#parts = parts
    const log = parts.logger(machine.name)
    const events = { record: (draft: EventDraft) => log.info(draft.says, { event: draft.kind }) }
    const totals = { cut: 0, held: 0 }
    const narrator = new Narrator({
      clock: process,
      events,
      totals,
      scope: () => 'pgsql',
      storeSilentMs: () => this.#source.silentMs(),
    })
    this.router = new Router(
      { clock: process, limits: LIMITS, timing: TIMING, narrator },
      {
        onRouted: () => this.#release(),
        onMembers: members => this.#follow(members),
        onCurious: (member, delayMs) => this.#probers.get(member)?.kick(delayMs),
        onDoubt: () => this.#source.refresh(),
      },
    )
    const { cluster, network, random } = parts
    const own = random.fork(`${machine.name}/${start}`)
    const dcs = new SimDcs({ process, cluster, network, random: own })
    this.#source = new EtcdSource({ clock: process, events, dcs, router: this.router })
    this.#pool = createPool(
      { ...defaultListener, name: 'write', binds: [], pool: 'leader' },
      this.router,
      process,
      () => own.between(0, 1),
    )
    this.#hold = new HoldQueue<ProxySession>({
      clock: process,
      capacity: HELD_MAX,
      holdMs: HOLD_MS,
      onExpired: session => session.expire(),
    })
    void this.#source.run(parts.never)
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  open(owner: SessionOwner): ProxySession {
    const session = new ProxySession({
      process: this.process,
      network: this.#parts.network,
      postgres: this.#parts.postgres,
      hold: this.#hold,
      owner,
      choose: tried => {
        const choice = this.#pool.choose({ tried, source: undefined })
        return choice.kind === 'backend' ? choice.backend : undefined
      },
      onRefused: backend => this.router.applyRefusal(backend.name),
      onAnswerLeaves: server => {
        const { trap } = this
        this.trap = undefined
        trap?.(server)
      },
      onEnded: ended => this.#sessions.delete(ended),
    })
    this.#sessions.add(session)
    this.process.deliver(() => session.seek())
    return session
  }

  /** The kernel closes the sockets of a dead process. */
  dropClients(): void {
    for (const session of [...this.#sessions]) session.drop()
  }

  #release(): void {
    if (this.#hold.size === 0 || !this.#pool.hasRoom()) return
    for (const session of this.#hold.takeAll()) session.wake()
  }

  #follow(members: ReadonlyMap<string, RosterMember>): void {
    for (const { name, apiUrl } of members.values()) {
      if (this.#probers.has(name) || apiUrl === undefined) continue
      const probe = {
        ask: (timeoutMs: number) => this.#ask(apiUrl, timeoutMs),
        close: async () => {},
      }
      const prober = new Prober(this.process, probe, TIMING, {
        onResult: result => this.router.applyProbe(name, result),
        isHurried: () => this.router.isHurried(name),
      })
      this.#probers.set(name, prober)
      prober.start()
    }
  }

  async #ask(apiUrl: string, timeoutMs: number): Promise<ProbeResult> {
    const sentAtMs = this.process.monotonicMs()
    const { network } = this.#parts
    const answer = await askRest(network, this.process, this.#parts.memberAt(apiUrl), {
      path: '/primary',
      timeoutMs,
    })
    if (answer === undefined) return { kind: 'silent', sentAtMs, why: 'no answer' }
    return readAnswer(answer.code, answer.body, { sentAtMs, receivedAtMs: this.process.monotonicMs() })
  }
}
