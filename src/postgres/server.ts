// The PostgreSQL server on this machine, as the agent sees it. Only connects the parts; each does its work in its file.

import type { HistoryLine } from '../cluster/history.ts'
import { parseHistoryFile } from '../cluster/history.ts'
import { type JsonObject, parseJsonObject, printJson } from '../cluster/json.ts'
import type { Lsn, Timeline } from '../cluster/lsn.ts'
import type { ServerSettings } from '../config/agent/types.ts'
import { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { archiveEnd } from './archive-ready.ts'
import { bootstrap } from './bootstrap.ts'
import { clone, keepsData } from './clone.ts'
import type { CloneProgress } from './clone-progress.ts'
import { Connection, PATIENT_SESSION, withConnection } from './connection.ts'
import { Context, type ServerConfig, type ServerOptions } from './context.ts'
import { divergence, historyFileName } from './divergence.ts'
import { follow, intentOf, isFollowing, reconfigure } from './following.ts'
import { END_IDLE_SQL } from './idle-sessions.ts'
import { Knocker } from './knock.ts'
import { Lifecycle } from './lifecycle.ts'
import { LogicalSlots } from './logical-slots.ts'
import { Monitor } from './monitor.ts'
import type {
  ControlData,
  Divergence,
  LogicalSlot,
  Postgres,
  RewindResult,
  ServerFacts,
  ServerRole,
  ServerStatus,
  SlotNotCopied,
  SlotsOnLeader,
  StopOptions,
  StopResult,
  Upstream,
  WalOnLeader,
} from './port.ts'
import { promote } from './promotion.ts'
import { endStarvedReplay } from './replay.ts'
import { canRewind, rewind } from './rewind.ts'
import { stopServer } from './shutdown.ts'
import { copyLogicalSlots, slotsOnLeader } from './slot-copies.ts'
import { applySlotChanges, slotChanges, withoutDrops } from './slots.ts'
import { startServer } from './startup.ts'
import { StorageCheck, type StorageWord } from './storage-check.ts'
import { verify } from './verify.ts'
import { walOnLeader } from './wal-on-leader.ts'

const PROGRAMS_MS = 30_000
const DYNAMIC_CONFIG = 'patroni.dynamic.json'

/** One real server. Built in `commands/` and in tests. */
export class LocalServer implements Postgres {
  readonly #context: Context
  readonly #lifecycle: Lifecycle
  readonly #monitor: Monitor
  readonly #knocker: Knocker
  readonly #storage: StorageCheck
  readonly #logicalSlots: LogicalSlots
  #slotConnection: Connection | undefined

  constructor(options: ServerOptions) {
    this.#context = new Context(options)
    this.#lifecycle = new Lifecycle(this.#context)
    this.#monitor = new Monitor(this.#context)
    this.#knocker = new Knocker(options.clock)
    this.#storage = new StorageCheck(options.clock, by => this.#context.data.tryWrite(by))
    this.#logicalSlots = new LogicalSlots(this.#context)
  }

  /**
   * The check at start-up: programs, data directory, and, when the server runs, our way into it. Returns the major
   * version. UserError names what the operator has to correct; nothing is changed.
   */
  verify(by: Deadline): Promise<number> {
    return verify(this.#context, this.#lifecycle, by)
  }

  /** Calls `listener` within 100 ms of the end of a postmaster, whoever ended it. */
  onGone(listener: () => void): void {
    this.#lifecycle.onGone(listener)
  }

  async status(by: Deadline, hungAfterMs = 0): Promise<ServerStatus> {
    try {
      return await this.#look(by, hungAfterMs)
    } catch (error) {
      const nothing = {
        process: 'unknown',
        dataDirectory: 'unknown',
        facts: undefined,
        isAnswering: false,
      } as const
      return { ...nothing, postmasterPid: this.#lifecycle.pid, trouble: messageOf(error) }
    }
  }

  /** Whether the storage of the data directory takes writes; undefined while nobody knows. */
  get storage(): StorageWord | undefined {
    return this.#storage.word
  }

  controlData(by: Deadline): Promise<ControlData | undefined> {
    return this.#lifecycle.controlFile(by)
  }

  async historyLines(timeline: Timeline, by: Deadline): Promise<readonly HistoryLine[] | undefined> {
    if (timeline <= 1) return []
    const path = `pg_wal/${historyFileName(timeline)}`
    const text = await this.#context.data.read(path, by).catch(() => undefined)
    return text === undefined ? undefined : parseHistoryFile(text)
  }

  bootstrap(signal: AbortSignal): Promise<string> {
    return bootstrap(this.#context, this.#lifecycle, signal)
  }

  clone(source: Upstream | undefined, signal: AbortSignal): Promise<void> {
    return clone(this.#context, source, signal)
  }

  cloneProgress(): CloneProgress | undefined {
    return this.#context.cloneProgress
  }

  setAside(by: Deadline): Promise<string | undefined> {
    return this.#context.data.moveAside(by)
  }

  async discard(by: Deadline): Promise<void> {
    if ((await this.#lifecycle.look(by)).process !== 'stopped')
      throw new HaError('E_RUNNING', 'a server that runs keeps its data directory')
    if (keepsData(this.#context.settings)) return
    await this.#context.data.discardContents(by)
    // Whatever was left undone in there is gone with it.
    await this.#context.data.endChange(by)
  }

  /** The node's file was read again: other passwords, options and access rules count from the next use on. */
  takeConfig(config: ServerConfig): void {
    this.#context.config = config
  }

  async start(as: ServerRole, upstream: Upstream | undefined, signal: AbortSignal): Promise<boolean> {
    this.#monitor.forget()
    await this.#context.binaries(Deadline.in(this.#context.clock, PROGRAMS_MS))
    return startServer(this.#context, this.#lifecycle, intentOf(this.#context, as, upstream), signal)
  }

  async stop(options: StopOptions): Promise<StopResult> {
    if (options.checkpointFirst) await this.checkpoint(options.by)
    const checkpointerPid = this.#monitor.identity?.checkpointerPid
    const result = await stopServer(this.#context, this.#lifecycle, options, checkpointerPid)
    this.#monitor.forget()
    return result
  }

  follow(upstream: Upstream | undefined, by: Deadline): Promise<boolean> {
    return follow(this.#context, this.#lifecycle, this.#monitor, upstream, by)
  }

  isFollowing(upstream: Upstream | undefined): boolean {
    return isFollowing(this.#context, this.#monitor, upstream)
  }

  async configure(settings: ServerSettings, by: Deadline): Promise<boolean> {
    this.#context.settings = settings
    return reconfigure(this.#context, this.#lifecycle, this.#monitor, by)
  }

  endStarvedReplay(by: Deadline): Promise<boolean> {
    return endStarvedReplay(this.#context, this.#lifecycle, this.#monitor, by)
  }

  async setSynchronousStandbys(names: string | undefined, by: Deadline): Promise<boolean> {
    this.#context.synchronousNames = names
    if (!(await this.#lifecycle.isAlive())) return false
    await reconfigure(this.#context, this.#lifecycle, this.#monitor, by)
    const [row] = await this.#monitor.query(
      "SELECT current_setting('synchronous_standby_names') AS names",
      by,
    )
    return names === undefined || row?.['names'] === names
  }

  async promote(by: Deadline): Promise<boolean> {
    await this.#logicalSlots.halt()
    return promote(this.#context, this.#lifecycle, this.#monitor, by)
  }

  async endIdleSessions(by: Deadline): Promise<number> {
    // The kept connection: a new one costs the start of a server process, in a moment when nobody can write.
    const [row] = await this.#monitor
      .query(END_IDLE_SQL, by.within(by.remainingMs() / 2))
      .catch(() =>
        withConnection(this.#context.local(), by, connection => connection.query(END_IDLE_SQL, by)),
      )
    return Number(row?.['left_over'] ?? 0)
  }

  keepDynamicConfig(raw: JsonObject, by: Deadline): Promise<void> {
    return this.#context.data.write(DYNAMIC_CONFIG, `${printJson(raw)}\n`, by)
  }

  async keptDynamicConfig(by: Deadline): Promise<JsonObject | undefined> {
    const text = await this.#context.data.read(DYNAMIC_CONFIG, by).catch(() => undefined)
    return text === undefined ? undefined : parseJsonObject(text)
  }

  async checkpoint(by: Deadline): Promise<boolean> {
    try {
      const target = this.#context.local(PATIENT_SESSION)
      await withConnection(target, by, connection => connection.query('CHECKPOINT', by))
      return true
    } catch {
      return false
    }
  }

  archiveEnd(signal: AbortSignal): Promise<void> {
    return archiveEnd(this.#context, this.#lifecycle, signal)
  }

  divergence(leader: Upstream, by: Deadline): Promise<Divergence> {
    return divergence(this.#context, this.#lifecycle, leader, by)
  }

  walOnLeader(leader: Upstream, from: Lsn, timeline: Timeline, by: Deadline): Promise<WalOnLeader> {
    return walOnLeader(this.#context, this.#monitor, leader, { from, timeline }, by)
  }

  async rewind(leader: Upstream, divergence: Divergence, signal: AbortSignal): Promise<RewindResult> {
    this.#monitor.forget()
    return rewind(this.#context, this.#lifecycle, leader, divergence, signal)
  }

  canRewind(by: Deadline): Promise<boolean> {
    return canRewind(this.#context, this.#lifecycle, by)
  }

  async syncSlots(
    wanted: ReadonlyMap<string, Lsn | undefined>,
    facts: ServerFacts,
    by: Deadline,
    logical: readonly LogicalSlot[] = [],
    keepsAll = false,
  ): Promise<readonly string[]> {
    this.#logicalSlots.begin(logical, facts, keepsAll)
    const changes = keepsAll ? withoutDrops(slotChanges(wanted, facts)) : slotChanges(wanted, facts)
    if (changes.length === 0) return []
    // Kept: on a standby there is something to advance at nearly every turn.
    if (this.#slotConnection?.isOpen !== true)
      this.#slotConnection = await Connection.open(this.#context.local(PATIENT_SESSION), by)
    return applySlotChanges(changes, this.#slotConnection, this.#context.log, by)
  }

  slotsOnLeader(
    leader: Upstream,
    names: readonly string[],
    standbySlot: string,
    by: Deadline,
  ): Promise<SlotsOnLeader> {
    return slotsOnLeader(this.#context, leader, names, standbySlot, by)
  }

  copyLogicalSlots(
    leader: Upstream,
    upstream: Upstream,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly SlotNotCopied[]> {
    const [context, lifecycle, monitor] = [this.#context, this.#lifecycle, this.#monitor]
    const parts = { context, lifecycle, monitor, logicalSlots: this.#logicalSlots }
    return copyLogicalSlots(parts, leader, upstream, names, signal)
  }

  signalPostmaster(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
    this.#lifecycle.signalPostmaster(signal)
  }

  killFamily(): Promise<number> {
    return this.#lifecycle.killFamily()
  }

  close(): Promise<void> {
    this.#lifecycle.close()
    this.#monitor.forget()
    this.#slotConnection?.close()
    this.#logicalSlots.close()
    return Promise.resolve()
  }

  /** With `hungAfterMs` 0 nobody looks whether it hangs. */
  #tryOut(pid: number, hungAfterMs: number): Pick<ServerStatus, 'unansweredMs' | 'storage'> {
    if (hungAfterMs === 0) this.#forgetTrials()
    else {
      this.#knocker.begin(pid, this.#context.door(), this.#context.config.postgres.superuser.username)
      this.#storage.begin(hungAfterMs)
    }
    return { unansweredMs: this.#knocker.unansweredMs, storage: this.#storage.word }
  }

  #forgetTrials(): void {
    this.#knocker.forget()
    this.#storage.forget()
  }

  async #look(by: Deadline, hungAfterMs: number): Promise<ServerStatus> {
    const look = await this.#lifecycle.look(by)
    const base = { process: look.process, dataDirectory: look.dataDirectory, postmasterPid: look.pid }
    if (look.pid === undefined) {
      this.#monitor.forget()
      this.#forgetTrials()
      return { ...base, facts: undefined, isAnswering: false, trouble: look.trouble }
    }
    const { facts, trouble, isTroubleMistake, isUp, isComingUp, isGoingDown } = await this.#monitor.look(
      look.pid,
      by,
    )
    if (isUp) this.#lifecycle.noteReady()
    const said = isGoingDown ? 'stopping' : isComingUp ? 'starting' : undefined
    const known = this.#lifecycle.phase ?? (isUp && look.process === 'starting' ? 'running' : look.process)
    return {
      ...base,
      process: said ?? known,
      facts,
      isAnswering: isUp,
      trouble,
      isTroubleMistake,
      ...this.#tryOut(look.pid, (said ?? known) === 'running' ? hungAfterMs : 0),
    }
  }
}
