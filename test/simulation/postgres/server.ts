// A modelled PostgreSQL server: its processes over its data directory. Starts slowly, stops in three ways, crashes,
// leaves orphaned backends behind, streams to standbys and from an upstream, and withholds commits in sync mode.

import type { HostPort } from '../../../src/cluster/member.ts'
import type { ProcessState, ServerRole, Upstream } from '../../../src/postgres/port.ts'
import type { Machine } from '../core/machine.ts'
import { Process } from '../core/machine.ts'
import { Backend } from './backend.ts'
import type { ClientWrite, DataDirectory, WalRecord } from './data-directory.ts'
import { Receiver, type Sender } from './streaming.ts'
import { isConfirmed, parseSyncNames, type SyncNames } from './sync-names.ts'
import type { PostgresWorld } from './world.ts'

/** What may go wrong with one server; the fault planner sets it. */
export interface ServerTroubles {
  /** Starts that will fail. */
  failingStarts: number
  /** Extra time of each start. */
  slowStartMs: number
  slowPromoteMs: number
  /** Extra time of each look: an overloaded machine. */
  slowQueryMs: number
  /** The archiver delays the end of a stop. */
  slowArchiveMs: number
  failingRewinds: number
}

interface Waiter {
  readonly record: WalRecord
  readonly done: () => void
}

/** How long a receiver may live on after its upstream was taken away. */
const RECEIVER_ENDS_MS = 120
const STREAM_RETRY_MS = 500
const IDLE_BACKEND_DEATH_MS = 16

export class SimServer {
  readonly name: string
  readonly machine: Machine
  readonly address: HostPort
  /** All processes of the server: the fence's signals and SIGSTOP go to them together. */
  readonly process: Process
  readonly world: PostgresWorld
  readonly backends = new Set<Backend>()
  readonly senders = new Set<Sender>()
  readonly troubles: ServerTroubles = {
    failingStarts: 0,
    slowStartMs: 0,
    slowPromoteMs: 0,
    slowQueryMs: 0,
    slowArchiveMs: 0,
    failingRewinds: 0,
  }
  data: DataDirectory | undefined
  role: ServerRole = 'replica'
  upstream: Upstream | undefined
  receiver: Receiver | undefined
  startedAtMs = 0
  #state: Exclude<ProcessState, 'unknown'> = 'stopped'
  /** Grows with every start and every death: what was begun before is void. */
  #generation = 0
  #isPromoting = false
  /** synchronous_standby_names as the configuration file has it, and as the running server has it. */
  configuredSyncNames = ''
  syncNamesText = ''
  #syncNames: SyncNames | undefined
  #checkpointerReadsAtMs = 0
  #waiters: Waiter[] = []
  #onGone: () => void = () => {}

  constructor(world: PostgresWorld, machine: Machine, address: HostPort) {
    this.name = machine.name
    this.machine = machine
    this.address = address
    this.world = world
    this.process = new Process(`${machine.name}/postgres`, machine)
    world.servers.push(this)
  }

  get state(): Exclude<ProcessState, 'unknown'> {
    return this.#state
  }

  /** Does it take connections? */
  get isServing(): boolean {
    return this.#state === 'running'
  }

  get isPrimary(): boolean {
    return this.role === 'primary' && this.#state !== 'stopped' && this.#state !== 'starting'
  }

  /** Calls `listener` when the postmaster ends, whoever ended it; replaces the one before. */
  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  /** Launches a postmaster. The rest happens by itself. */
  start(role: ServerRole, upstream: Upstream | undefined): void {
    if (this.#state !== 'stopped' || this.data === undefined) return
    this.killBackends()
    // Who waited for a standby in the life before was a backend, and is gone with it.
    this.#waiters = []
    this.#generation += 1
    this.#state = 'starting'
    this.role = role
    this.upstream = upstream
    this.startedAtMs = this.machine.wallMs()
    this.syncNamesText = this.configuredSyncNames
    this.#syncNames = parseSyncNames(this.syncNamesText)
    this.#checkpointerReadsAtMs = 0
    const { data, troubles } = this
    data.control = role === 'primary' ? 'in crash recovery' : 'in archive recovery'
    const { random } = this.world
    const tookMs = random.between(60, 600) + troubles.slowStartMs
    this.#later(tookMs, () => {
      if (data.isBroken || troubles.failingStarts > 0) {
        troubles.failingStarts = Math.max(0, troubles.failingStarts - 1)
        this.#die()
        return
      }
      if (role === 'primary') {
        data.control = 'in production'
        data.append('checkpoint', undefined)
        data.checkpointTimeline = data.timeline
        this.#state = 'running'
        return
      }
      this.stream()
      this.#becomeConsistent()
    })
  }

  /** SIGINT. `onShutDown` is told the place of the shutdown checkpoint once the control file has it. */
  stopFast(onShutDown?: (checkpointLsn: bigint) => void): void {
    if (this.#state === 'stopped' || this.#state === 'stopping') return
    const wasPrimary = this.isPrimary
    const wasUp = this.#state === 'running'
    this.#state = 'stopping'
    this.killBackends()
    if (!wasPrimary || this.data === undefined) {
      this.receiver?.close()
      this.#later(this.world.random.between(10, 80), () => {
        if (this.data !== undefined && wasUp) this.data.control = 'shut down in recovery'
        this.#die()
      })
      return
    }
    const { data } = this
    this.#later(this.world.random.between(10, 150), () => {
      const checkpointLsn = data.endLsn
      data.append('checkpoint', undefined)
      data.control = 'shut down'
      data.checkpointTimeline = data.timeline
      for (const sender of this.senders) sender.pump()
      onShutDown?.(checkpointLsn)
      this.#endWhenSent(this.machine.monotonicMs() + 5_000)
    })
  }

  /** SIGQUIT: every process goes at once, nothing is written. */
  stopImmediate(): void {
    if (this.#state === 'stopped') return
    this.#state = 'stopping'
    this.#later(this.world.random.between(1, 15), () => {
      this.killBackends()
      this.#die()
    })
  }

  /** SIGKILL to the postmaster: idle backends notice in milliseconds, busy ones when their statement ends. */
  killPostmaster(): void {
    if (this.#state === 'stopped') return
    for (const backend of [...this.backends]) {
      if (!backend.isBusy)
        this.process.later(this.world.random.between(0, IDLE_BACKEND_DEATH_MS), () => backend.end())
    }
    this.#die()
  }

  /** SIGKILL to every process in the data directory. Returns how many there were. */
  killFamily(): number {
    const found = this.backends.size + (this.#state === 'stopped' ? 0 : 1)
    this.killBackends()
    this.#die()
    return found
  }

  killBackends(): void {
    for (const backend of [...this.backends]) backend.end()
  }

  /** pg_promote(): goes on by itself, whatever becomes of the one who asked. */
  promote(): void {
    if (this.#state !== 'running' || this.role !== 'replica' || this.#isPromoting) return
    this.#isPromoting = true
    this.receiver?.close()
    const tookMs = this.world.random.between(30, 250) + this.troubles.slowPromoteMs
    this.#later(tookMs, () => {
      if (this.#state !== 'running' || this.data === undefined) return
      this.#isPromoting = false
      this.role = 'primary'
      this.data.branch(this.world.nextReign(), 'no recovery target specified')
      this.world.listener.onPromoted(this)
      for (const sender of this.senders) sender.pump()
    })
  }

  checkpoint(): void {
    if (this.#state !== 'running' || this.data === undefined || this.role !== 'primary') return
    this.data.append('checkpoint', undefined)
    this.data.checkpointTimeline = this.data.timeline
    for (const sender of this.senders) sender.pump()
  }

  /** Another upstream for a standby, taken over by a reload. */
  follow(upstream: Upstream | undefined): void {
    if (this.upstream?.member === upstream?.member && this.upstream?.address.host === upstream?.address.host)
      return
    this.upstream = upstream
    const { receiver } = this
    if (upstream === undefined && receiver !== undefined) {
      // It gets a signal, and until it has ended it goes on receiving and confirming.
      this.#later(this.machine.random.between(1, RECEIVER_ENDS_MS), () => receiver.close())
      return
    }
    receiver?.close()
    this.stream()
  }

  /** Takes a client's connection; undefined when it is refused. */
  connect(onEnded: () => void): Backend | undefined {
    if (!this.isServing) return undefined
    const backend = new Backend(this, onEnded)
    this.backends.add(backend)
    return backend
  }

  /** Writes the commit and calls `done` when it counts as durable: at once, or when the standbys have it. */
  commit(write: ClientWrite, done: () => void): boolean {
    if (this.data === undefined || this.role !== 'primary') return false
    const record = this.data.append('write', write)
    for (const sender of this.senders) sender.pump()
    const acknowledge = () => {
      write.isAcknowledged = true
      this.world.listener.onAcknowledged(this, record)
      done()
    }
    if (isConfirmed(this.#syncNames, this.senders, record.end)) {
      acknowledge()
      return true
    }
    this.world.listener.onSyncWait(this)
    this.#waiters.push({ record, done: acknowledge })
    return true
  }

  get syncNames(): SyncNames | undefined {
    return this.#syncNames
  }

  /** Has the checkpointer, which switches waiting on for all sessions, read the present names? */
  get isCheckpointerAtRest(): boolean {
    return this.world.scheduler.nowMs >= this.#checkpointerReadsAtMs
  }

  /** Writes synchronous_standby_names; a running server reads it at once, its checkpointer when it is at rest. */
  setSyncNames(value: string): void {
    this.configuredSyncNames = value
    if (this.#state === 'stopped' || value === this.syncNamesText) return
    const wasOff = this.syncNamesText === ''
    this.syncNamesText = value
    const { random, scheduler } = this.world
    const delayMs = random.chance(0.1) ? random.between(100, 2_500) : random.between(1, 30)
    this.#checkpointerReadsAtMs = scheduler.nowMs + delayMs
    if (wasOff) this.#later(delayMs, () => this.#takeSyncNames(value))
    else this.#takeSyncNames(value)
  }

  #takeSyncNames(value: string): void {
    if (this.syncNamesText === value) this.#syncNames = parseSyncNames(value)
    this.settle()
  }

  /** A standby has flushed more, or other standbys count now. */
  settle(): void {
    const ready = this.#waiters.filter(({ record }) => isConfirmed(this.#syncNames, this.senders, record.end))
    if (ready.length === 0) return
    this.#waiters = this.#waiters.filter(waiter => !ready.includes(waiter))
    for (const { done } of ready) done()
  }

  /** Tries to stream from the upstream until it does, or until nobody wants it any more. */
  stream(): void {
    const generation = this.#generation
    if (!this.#mayStream()) return
    const receiver = new Receiver(this)
    this.receiver = receiver
    receiver.connect(() => {
      if (this.receiver === receiver) this.receiver = undefined
      if (generation !== this.#generation) return
      this.#later(STREAM_RETRY_MS, () => {
        if (this.receiver === undefined) this.stream()
      })
    })
  }

  /** Records came in: a copy may be consistent now. */
  onReceived(): void {
    this.#becomeConsistent()
    for (const sender of this.senders) sender.pump()
  }

  #mayStream(): boolean {
    const isUp = this.#state === 'running' || this.#state === 'starting'
    return isUp && this.role === 'replica' && !this.#isPromoting && this.upstream !== undefined
  }

  #becomeConsistent(): void {
    if (this.#state !== 'starting' || this.data === undefined || this.role !== 'replica') return
    if (this.data.end >= this.data.consistentAt) this.#state = 'running'
  }

  /** A fast stop waits until every standby that still answers has everything, the checkpoint included. */
  #endWhenSent(untilMs: number): void {
    const isWaiting = [...this.senders].some(sender => !sender.hasAll)
    if (isWaiting && this.machine.monotonicMs() < untilMs) {
      this.#later(20, () => this.#endWhenSent(untilMs))
      return
    }
    this.#later(this.world.random.between(5, 40) + this.troubles.slowArchiveMs, () => this.#die())
  }

  #die(): void {
    if (this.#state === 'stopped') return
    this.#state = 'stopped'
    this.#generation += 1
    this.#isPromoting = false
    this.#waiters = []
    this.receiver?.close()
    for (const sender of [...this.senders]) sender.close()
    this.#onGone()
  }

  #later(delayMs: number, run: () => void): void {
    const generation = this.#generation
    this.process.later(delayMs, () => {
      if (generation === this.#generation) run()
    })
  }
}
