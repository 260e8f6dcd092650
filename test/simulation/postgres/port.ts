// The PostgreSQL port over a modelled server, as one agent process sees it. What is asked of the server takes time on
// the agent's clock; what the server was told to do goes on when the agent dies.

import type { HistoryLine } from '../../../src/cluster/history.ts'
import type { Lsn, Timeline } from '../../../src/cluster/lsn.ts'
import type { ServerSettings } from '../../../src/config/agent/types.ts'
import { Deadline, raceAbort } from '../../../src/platform/deadline.ts'
import { HaError } from '../../../src/platform/errors.ts'
import type {
  ControlData,
  Divergence,
  Postgres,
  RewindResult,
  ServerFacts,
  ServerRole,
  ServerStatus,
  StopOptions,
  StopResult,
  Upstream,
  WalOnLeader,
} from '../../../src/postgres/port.ts'
import type { Process } from '../core/machine.ts'
import type { Random } from '../core/random.ts'
import { DataDirectory } from './data-directory.ts'
import { compareHistories, rewindOnto } from './divergence.ts'
import { controlOf, factsOf } from './facts.ts'
import { askServer } from './remote.ts'
import type { SimServer } from './server.ts'

const POLL_MS = 40
const SLOW_POLL_MS = 200
const SLOW_AFTER_POLLS = 10
/** How soon the death of a postmaster is noticed. */
const WATCH_MS = 100
const KILL_WAIT_MS = 10_000

export class SimPostgres implements Postgres {
  readonly #server: SimServer
  readonly #process: Process
  readonly #random: Random
  /** Where the running server streams from, as it said at the last look. */
  #source: Upstream | 'nobody' | undefined
  /** What is being done to the server now. */
  readonly #actions = new Set<{ readonly name: string; readonly signal: AbortSignal | undefined }>()
  #onGone: () => void = () => {}

  constructor(server: SimServer, process: Process, random: Random) {
    this.#server = server
    this.#process = process
    this.#random = random
    server.onGone(() => this.#noticeDeath())
  }

  /** As LocalServer.onGone. */
  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  async status(by: Deadline): Promise<ServerStatus> {
    const server = this.#server
    await this.#pause(1, 8)
    const postmasterPid = server.state === 'stopped' ? undefined : 4711
    const dataDirectory = server.data === undefined || server.data.isBroken ? 'empty' : 'initialized'
    const base = { dataDirectory, postmasterPid } as const
    if (server.state !== 'running') {
      this.#source = undefined
      return { ...base, process: server.state, facts: undefined, isAnswering: false, trouble: undefined }
    }
    const slowMs = server.troubles.slowQueryMs
    const answerMs = server.process.isFrozen ? Number.POSITIVE_INFINITY : this.#random.between(0, 4) + slowMs
    if (answerMs >= by.remainingMs()) {
      await this.#process.sleep(by.remainingMs())
      const isAnswering = !server.process.isFrozen
      return { ...base, process: 'running', facts: undefined, isAnswering, trouble: 'no answer in time' }
    }
    await this.#process.sleep(answerMs)
    const facts = this.#facts()
    if (facts === undefined)
      return { ...base, process: server.state, facts, isAnswering: false, trouble: 'the connection broke' }
    this.#source = facts.role === 'replica' ? (server.upstream ?? 'nobody') : 'nobody'
    return { ...base, process: 'running', facts, isAnswering: true, trouble: undefined }
  }

  async controlData(_by: Deadline): Promise<ControlData | undefined> {
    await this.#pause(2, 10)
    return controlOf(this.#server.data)
  }

  async historyLines(timeline: Timeline, _by: Deadline): Promise<readonly HistoryLine[] | undefined> {
    await this.#pause(1, 5)
    const { data } = this.#server
    return data?.timeline === timeline ? data.history : undefined
  }

  /** Work on the data directory and the postmaster is for one at a time. What was called off does nothing more. */
  async #alone<T>(name: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const other = [...this.#actions].find(action => action.signal?.aborted !== true)
    if (other !== undefined)
      this.#server.world.listener.onTwoActions(this.#server, `${name} during ${other.name}`)
    const action = { name, signal }
    this.#actions.add(action)
    try {
      return await run()
    } finally {
      this.#actions.delete(action)
    }
  }

  bootstrap(signal: AbortSignal): Promise<string> {
    return this.#alone('bootstrap', () => this.#bootstrap(signal), signal)
  }

  clone(source: Upstream | undefined, signal: AbortSignal): Promise<void> {
    return this.#alone('clone', () => this.#clone(source, signal), signal)
  }

  start(as: ServerRole, upstream: Upstream | undefined, signal: AbortSignal): Promise<boolean> {
    return this.#alone('start', () => this.#start(as, upstream, signal), signal)
  }

  stop(options: StopOptions): Promise<StopResult> {
    return this.#alone('stop', () => this.#stop(options))
  }

  rewind(leader: Upstream, divergence: Divergence, signal: AbortSignal): Promise<RewindResult> {
    return this.#alone('rewind', () => this.#rewind(leader, divergence, signal), signal)
  }

  async #bootstrap(signal: AbortSignal): Promise<string> {
    const server = this.#server
    await this.#work(this.#random.between(300, 1_500), signal)
    const systemId = `74000000000000${this.#random.whole(10_000, 99_999)}`
    server.data = new DataDirectory(systemId)
    if (!(await this.#start('primary', undefined, signal)))
      throw new HaError('E_BOOTSTRAP', 'the new server did not start')
    server.data.reign = server.world.nextReign()
    await this.#work(this.#random.between(50, 300), signal)
    return systemId
  }

  async #clone(source: Upstream | undefined, signal: AbortSignal): Promise<void> {
    const server = this.#server
    if (source === undefined) throw new HaError('E_CLONE', 'no archive in this world')
    const by = Deadline.in(this.#process, 60_000)
    await askServer(this.#process, server, source, by, leader => leader.isServing)
    await this.#work(this.#random.between(300, 2_500), signal)
    const copied = await askServer(this.#process, server, source, by, leader =>
      leader.isServing && leader.data !== undefined
        ? { data: DataDirectory.copyOf(leader.data, leader.data.wal.length), end: leader.data.end }
        : undefined,
    )
    if (copied === undefined) throw new HaError('E_CLONE', `the server of ${source.member} is not running`)
    copied.data.consistentAt = copied.end
    server.data = copied.data
  }

  async setAside(_by: Deadline): Promise<string> {
    await this.#pause(5, 50)
    this.#server.data = undefined
    return '/data.failed'
  }

  async discard(_by: Deadline): Promise<void> {
    await this.#pause(5, 50)
    this.#server.data = undefined
  }

  async #start(as: ServerRole, upstream: Upstream | undefined, signal: AbortSignal): Promise<boolean> {
    const server = this.#server
    this.#source = undefined
    await this.#pause(5, 40)
    if (signal.aborted) return false
    server.start(as, upstream)
    for (let polls = 0; !signal.aborted; polls += 1) {
      if (server.state === 'running') return true
      if (server.state !== 'starting') return false
      await this.#process.sleep(polls > SLOW_AFTER_POLLS ? SLOW_POLL_MS : POLL_MS, signal).catch(() => {})
    }
    return false
  }

  async #stop(options: StopOptions): Promise<StopResult> {
    const server = this.#server
    if (options.checkpointFirst) await this.checkpoint(options.by)
    await this.#pause(1, 5)
    let written: Lsn | undefined
    let isTold = false
    const tell = () => {
      if (isTold || written === undefined) return
      isTold = true
      options.onShutDown?.(written)
    }
    if (options.mode === 'fast') {
      server.stopFast(lsn => {
        written = lsn
        this.#process.later(this.#random.between(5, 60), tell)
      })
    } else server.stopImmediate()
    for (let polls = 0; server.state !== 'stopped' && !options.by.isOver(); polls += 1) {
      await this.#process.sleep(polls > SLOW_AFTER_POLLS ? SLOW_POLL_MS : POLL_MS)
    }
    const stopped = await this.#endFamily()
    tell()
    this.#source = undefined
    const isClean = server.data?.control === 'shut down'
    return { stopped, shutdownCheckpointLsn: isClean ? written : undefined }
  }

  async promote(by: Deadline): Promise<boolean> {
    const server = this.#server
    await this.#pause(1, 5)
    server.promote()
    for (let polls = 0; !by.isOver(); polls += 1) {
      if (server.isPrimary && server.state === 'running' && !server.process.isFrozen) return true
      if (server.state !== 'running' && polls > SLOW_AFTER_POLLS) return false
      await this.#process.sleep(polls > SLOW_AFTER_POLLS ? SLOW_POLL_MS : POLL_MS)
    }
    return false
  }

  async checkpoint(_by: Deadline): Promise<boolean> {
    await this.#pause(20, 300)
    if (this.#server.state !== 'running' || this.#server.process.isFrozen) return false
    this.#server.checkpoint()
    return true
  }

  async follow(upstream: Upstream | undefined, _by: Deadline): Promise<boolean> {
    await this.#pause(3, 25)
    if (this.#server.state === 'stopped' || this.#server.role !== 'replica') return false
    this.#server.follow(upstream)
    this.#source = upstream ?? 'nobody'
    return true
  }

  isFollowing(upstream: Upstream | undefined): boolean {
    const now = this.#source
    if (now === undefined) return false
    if (now === 'nobody' || upstream === undefined) return now === 'nobody' && upstream === undefined
    return now.member === upstream.member && now.address.host === upstream.address.host
  }

  async divergence(leader: Upstream, by: Deadline): Promise<Divergence> {
    const server = this.#server
    const theirs = await askServer(this.#process, server, leader, by, remote =>
      remote.isServing && (remote.isPrimary || leader.remote !== undefined) ? remote.data : undefined,
    ).catch(() => undefined)
    await this.#pause(2, 20)
    if (theirs === undefined) {
      const why = `${leader.member} has not left recovery yet`
      return { kind: 'unknown', why, isLeaderInRecovery: true }
    }
    const isKnown =
      server.state === 'running' ||
      server.state === 'stopped' ||
      (server.state === 'starting' && server.data?.control === 'in archive recovery')
    if (server.data === undefined || !isKnown) {
      return { kind: 'unknown', why: `our own server is ${server.state}` }
    }
    return compareHistories(server.data, theirs)
  }

  async #rewind(leader: Upstream, divergence: Divergence, signal: AbortSignal): Promise<RewindResult> {
    const server = this.#server
    const failed = (says: string, isFinal = true): RewindResult => ({
      ok: false,
      discardedBytes: 0n,
      says,
      isFinal,
    })
    const { stopped } = await this.#stop({
      mode: 'fast',
      checkpointFirst: false,
      by: Deadline.in(this.#process, 60_000),
    })
    if (!stopped || server.data === undefined) return failed('our own server could not be stopped', false)
    await this.#work(this.#random.between(100, 500), signal)
    if (server.troubles.failingRewinds > 0) {
      server.troubles.failingRewinds -= 1
      const isLast = server.troubles.failingRewinds === 0
      return isLast
        ? failed('pg_rewind: error: could not read a block')
        : failed('pg_rewind: error: connection to server failed: too many connections', false)
    }
    const by = Deadline.in(this.#process, 60_000)
    const before = server.data
    before.isBroken = true
    const source = server.world.at(leader.address)?.data
    const copied = source?.wal.length ?? 0
    const tookMs = this.#random.between(200, 2_000)
    await this.#work(tookMs, signal)
    const theirs = await askServer(this.#process, server, leader, by, remote => {
      if (!remote.isServing || !remote.isPrimary) return undefined
      remote.checkpoint()
      return remote.data
    }).catch(() => undefined)
    if (theirs === undefined)
      return failed(`pg_rewind: error: ${leader.member} is no primary or does not answer`)
    if (server.data !== before || server.state !== 'stopped')
      return failed('the data directory is not ours any more')
    if (theirs.timeline === before.timeline) {
      before.isBroken = false
      return failed('pg_rewind cannot compare two histories of the same timeline: clone this member again')
    }
    // Another server behind the same address: all of its WAL is newer than the copy of the first one's.
    const discarded = rewindOnto(server, before, theirs, theirs === source ? copied : 0)
    server.world.listener.onRewound(server, discarded)
    const bytes = divergence.kind === 'diverged' ? divergence.localEnd - divergence.at : 0n
    return {
      ok: true,
      discardedBytes: bytes,
      says: `rewound to the history of ${leader.member}`,
      isFinal: false,
    }
  }

  async walOnLeader(leader: Upstream, _from: Lsn, _timeline: Timeline, by: Deadline): Promise<WalOnLeader> {
    await this.#pause(5, 50)
    const { data } = this.#server
    const hasOurs = await askServer(this.#process, this.#server, leader, by, ({ isServing, data: theirs }) =>
      isServing && data !== undefined && theirs !== undefined ? theirs.has(data.last) : undefined,
    ).catch(() => undefined)
    return hasOurs === true ? 'there' : 'unknown'
  }

  async canRewind(_by: Deadline): Promise<boolean> {
    await this.#pause(2, 10)
    return this.#server.data !== undefined
  }

  async syncSlots(): Promise<readonly string[]> {
    return []
  }

  async setSynchronousStandbys(names: string | undefined, _by: Deadline): Promise<boolean> {
    await this.#pause(2, 25)
    const { process, state } = this.#server
    this.#server.setSyncNames(names ?? '')
    return state === 'running' && !process.isFrozen
  }

  async configure(_settings: ServerSettings, _by: Deadline): Promise<boolean> {
    await this.#pause(2, 20)
    return false
  }

  signalPostmaster(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
    if (signal === 'SIGINT') this.#server.stopFast()
    else if (signal === 'SIGQUIT') this.#server.stopImmediate()
    else this.#server.killPostmaster()
  }

  async killFamily(): Promise<number> {
    await this.#pause(1, 4)
    return this.#server.killFamily()
  }

  async close(): Promise<void> {
    this.#onGone = () => {}
  }

  #facts(): ServerFacts | undefined {
    const { data, state } = this.#server
    return data === undefined || state !== 'running' ? undefined : factsOf(this.#server, data)
  }

  /** The postmaster is gone: its backends go too, and the agent hears of it. */
  #noticeDeath(): void {
    this.#process.later(this.#random.between(5, WATCH_MS), () => {
      this.#source = undefined
      if (this.#server.state === 'stopped') this.#server.killBackends()
      this.#onGone()
    })
  }

  async #endFamily(): Promise<boolean> {
    const by = Deadline.in(this.#process, KILL_WAIT_MS)
    while ((await this.killFamily()) > 0) {
      if (by.isOver()) return false
      await this.#process.sleep(20)
    }
    return true
  }

  #pause(lowMs: number, highMs: number): Promise<void> {
    return this.#process.sleep(this.#random.between(lowMs, highMs))
  }

  /** Long work that its signal ends. */
  #work(durationMs: number, signal: AbortSignal): Promise<void> {
    return raceAbort(this.#process.sleep(durationMs), signal)
  }
}
