// The PostgreSQL server on this machine, as the agent sees it. Only connects the parts; each does its work in its file.

import type { HistoryLine } from '../cluster/history.ts'
import { parseHistoryFile } from '../cluster/history.ts'
import type { Timeline } from '../cluster/lsn.ts'
import type { ServerSettings } from '../config/agent/types.ts'
import type { Deadline } from '../platform/deadline.ts'
import { bootstrap } from './bootstrap.ts'
import { PATIENT_SESSION, withConnection } from './connection.ts'
import { Context, type ServerOptions } from './context.ts'
import { follow, intentOf, isFollowing, reconfigure } from './following.ts'
import { Lifecycle } from './lifecycle.ts'
import { Monitor } from './monitor.ts'
import type { ControlData, ServerRole, ServerStatus, StopOptions, StopResult, Upstream } from './port.ts'
import { promote } from './promotion.ts'
import { verify } from './verify.ts'

/** One real server. Built in `commands/` and in tests. */
export class LocalServer {
  readonly #context: Context
  readonly #lifecycle: Lifecycle
  readonly #monitor: Monitor

  constructor(options: ServerOptions) {
    this.#context = new Context(options)
    this.#lifecycle = new Lifecycle(this.#context)
    this.#monitor = new Monitor(this.#context)
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

  async status(by: Deadline): Promise<ServerStatus> {
    const look = await this.#lifecycle.look(by)
    const base = { process: look.process, dataDirectory: look.dataDirectory, postmasterPid: look.pid }
    if (look.pid === undefined) {
      this.#monitor.forget()
      return { ...base, facts: undefined, trouble: look.trouble }
    }
    const { facts, trouble, isComingUp, isGoingDown } = await this.#monitor.look(look.pid, by)
    if (facts !== undefined) this.#lifecycle.noteReady()
    const process =
      this.#lifecycle.phase ?? (isGoingDown ? 'stopping' : isComingUp ? 'starting' : look.process)
    return { ...base, process, facts, trouble }
  }

  controlData(by: Deadline): Promise<ControlData | undefined> {
    return this.#lifecycle.controlFile(by)
  }

  async historyLines(timeline: Timeline, by: Deadline): Promise<readonly HistoryLine[] | undefined> {
    if (timeline <= 1) return []
    const name = `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`
    const text = await this.#context.data.read(`pg_wal/${name}`, by).catch(() => undefined)
    return text === undefined ? undefined : parseHistoryFile(text)
  }

  bootstrap(signal: AbortSignal): Promise<string> {
    return bootstrap(this.#context, this.#lifecycle, signal)
  }

  setAside(by: Deadline): Promise<string> {
    return this.#context.data.moveAside(by)
  }

  async start(as: ServerRole, upstream: Upstream | undefined, signal: AbortSignal): Promise<boolean> {
    this.#monitor.forget()
    return this.#lifecycle.start(intentOf(this.#context, as, upstream), signal)
  }

  async stop(options: StopOptions): Promise<StopResult> {
    if (options.checkpointFirst) await this.checkpoint(options.by)
    const checkpointerPid = this.#monitor.identity?.checkpointerPid
    const result = await this.#lifecycle.stop(options, checkpointerPid)
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

  promote(by: Deadline): Promise<boolean> {
    return promote(this.#context, this.#lifecycle, this.#monitor, by)
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

  signalPostmaster(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
    this.#lifecycle.signalPostmaster(signal)
  }

  killFamily(): Promise<number> {
    return this.#lifecycle.killFamily()
  }

  close(): Promise<void> {
    this.#lifecycle.close()
    this.#monitor.forget()
    return Promise.resolve()
  }
}
