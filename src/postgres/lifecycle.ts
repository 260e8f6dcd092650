// The life of our postmaster: found, started, stopped, fenced. Owns the pid; asks the server nothing by SQL.

import type { Lsn } from '../cluster/lsn.ts'
import { Deadline } from '../platform/deadline.ts'
import type { Intent } from './config-files.ts'
import type { Context } from './context.ts'
import { type ControlFile, readControlFile } from './control-data.ts'
import type { DirectoryLook } from './data-directory.ts'
import { endFamily, endOrphans, familyOf, killFamily } from './family.ts'
import { directoryMistake } from './mistakes.ts'
import { ping } from './ping.ts'
import type { DataDirectoryState, ProcessState, StopOptions, StopResult } from './port.ts'
import { Postmaster } from './postmaster.ts'
import { statOf } from './procfs.ts'

const POLL_MS = 20
/** A start that lasts needs no quick answer any more. */
const SLOW_POLL_MS = 100
const SLOW_AFTER_MS = 2000
const PING_MS = 1000
const FILES_MS = 10_000
const CONTROL_MS = 2000
const KILL_MS = 10_000
/** How soon the death of a postmaster that is not our child is noticed. */
const WATCH_MS = 100
/** While a stop lasts, the control file is read this often when no better sign is known. */
const CONTROL_POLL_MS = 250
const LOG_TAIL_BYTES = 4096

/** What a look from outside saw. */
export interface ProcessLook {
  readonly process: ProcessState
  readonly dataDirectory: DataDirectoryState
  readonly pid: number | undefined
  readonly trouble: string | undefined
}

/** One server's process. */
export class Lifecycle {
  readonly #context: Context
  #postmaster: Postmaster | undefined
  #phase: 'starting' | 'stopping' | undefined
  /** The data directory as /proc prints it; the configured path until a look has resolved it. */
  #realPath: string
  #dataDirectory: DataDirectoryState = 'unknown'
  #forgetWatch: () => void = () => {}
  #onGone: () => void = () => {}
  #hasRaisedMinima = false
  #controlFile: Promise<ControlFile | undefined> | undefined

  constructor(context: Context) {
    this.#context = context
    this.#realPath = context.config.postgres.dataDir
  }

  get pid(): number | undefined {
    return this.#postmaster?.pid
  }

  /** Is this the postmaster we know, and do we know that it was told to stop or has not come up yet? */
  get phase(): 'starting' | 'stopping' | undefined {
    return this.#phase
  }

  /** The server took a connection: it is up. */
  noteReady(): void {
    if (this.#phase === 'starting') this.#phase = undefined
  }

  /** Calls `listener` as soon as a postmaster is gone, whoever ended it. */
  onGone(listener: () => void): void {
    this.#onGone = listener
  }

  /** Looks through /proc; touches the data directory (in a child) only when no postmaster is known to live. */
  async look(by: Deadline): Promise<ProcessLook> {
    if (await this.#isAlive()) {
      return { ...this.#known(), trouble: undefined }
    }
    const look = await this.#context.data.look(by)
    if (look === undefined) return this.#lookWithoutStorage()
    this.#realPath = look.realPath ?? this.#realPath
    this.#dataDirectory = publicState(look)
    await this.#adopt(look)
    if (this.#postmaster !== undefined) return { ...this.#known(), trouble: undefined }
    const { config } = this.#context
    const majorVersion = look.majorVersion ?? 0
    return {
      process: 'stopped',
      dataDirectory: this.#dataDirectory,
      pid: undefined,
      trouble: directoryMistake(look, config, majorVersion),
    }
  }

  /** The control file. Undefined when pg_controldata fails or does not answer in time. Looks at once share one child. */
  async controlFile(by: Deadline): Promise<ControlFile | undefined> {
    this.#controlFile ??= this.#readControlFile(by).finally(() => {
      this.#controlFile = undefined
    })
    return this.#controlFile
  }

  /**
   * Starts a server of this intent and waits until it takes connections. What an older server left behind is killed
   * first. False when the server ends or `signal` aborts; an aborted start goes on by itself.
   */
  async start(intent: Intent, signal: AbortSignal): Promise<boolean> {
    const context = this.#context
    const files = Deadline.in(context.clock, FILES_MS)
    const look = await this.look(files)
    if (look.process === 'running' || look.process === 'starting') return this.#waitReady(signal)
    if (!(await endFamily(this.#realPath, context.clock, files))) return false
    await context.data.remove(['postmaster.pid'], files)
    const binaries = await context.binaries(files)
    await context.writePassfile(files)
    await context.writeFiles(intent, files)
    await context.files.writeSignals(intent, binaries.majorVersion, files)
    const parameters = await this.#commandLine(intent, files)
    if (signal.aborted) return false
    this.#take(
      Postmaster.launch({
        postgres: binaries.path('postgres'),
        dataDir: context.config.postgres.dataDir,
        configFile: context.files.mainFile,
        parameters,
        logFile: context.logFile,
        spareLogFile: context.spareLogFile,
      }),
      'starting',
    )
    const isReady = await this.#waitReady(signal)
    // Only at a reload does PostgreSQL notice that the files want another value than it was started with.
    if (isReady && this.#hasRaisedMinima) this.reload()
    return isReady
  }

  /** As Postgres.stop, after the checkpoint. `checkpointerPid` tells when the shutdown checkpoint is written (below 18). */
  async stop(options: StopOptions, checkpointerPid: number | undefined): Promise<StopResult> {
    await this.look(options.by)
    const postmaster = this.#postmaster
    if (postmaster !== undefined) {
      this.#phase = 'stopping'
      postmaster.signal(options.mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
      await this.#awaitStop(postmaster, options, checkpointerPid)
    }
    const isGone = await endFamily(
      this.#realPath,
      this.#context.clock,
      Deadline.in(this.#context.clock, KILL_MS),
    )
    const control = isGone ? await this.controlFile(Deadline.in(this.#context.clock, CONTROL_MS)) : undefined
    return { stopped: isGone, shutdownCheckpointLsn: shutdownLsn(control) }
  }

  /** SIGHUP: read the files again. */
  reload(): boolean {
    return this.#postmaster?.signal('SIGHUP') ?? false
  }

  /** SIGUSR1: look for the promotion file. */
  signalPromotion(): void {
    this.#postmaster?.signal('SIGUSR1')
  }

  /** Ends the server without waiting for anything. */
  signalPostmaster(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void {
    if (this.#postmaster?.signal(signal) === true) this.#phase = 'stopping'
  }

  killFamily(): Promise<number> {
    return killFamily(this.#realPath)
  }

  /** The last lines of the server's own log that say why it ended. */
  async lastWords(by: Deadline): Promise<string> {
    const tail = await this.#context.data.tail(this.#context.logFile, LOG_TAIL_BYTES, by).catch(() => '')
    const lines = tail.trim().split('\n')
    return lines
      .filter(line => /FATAL|PANIC|could not|error/i.test(line))
      .slice(-2)
      .join(' / ')
  }

  close(): void {
    this.#forgetWatch()
  }

  #known(): Omit<ProcessLook, 'trouble'> {
    return { process: this.#phase ?? 'running', dataDirectory: 'initialized', pid: this.#postmaster?.pid }
  }

  async #isAlive(): Promise<boolean> {
    if (this.#postmaster === undefined) return false
    if (await this.#postmaster.isAlive()) return true
    this.#drop()
    return false
  }

  async #adopt(look: DirectoryLook): Promise<void> {
    if (look.postmaster === undefined || this.#postmaster !== undefined) return
    const found = await Postmaster.find(look.postmaster, this.#realPath)
    if (found === undefined) return
    const { status } = look.postmaster
    this.#take(found, status === 'starting' ? 'starting' : status === 'stopping' ? 'stopping' : undefined)
    this.#context.log.info(`took over the running PostgreSQL server (pid ${found.pid})`)
  }

  #take(postmaster: Postmaster, phase: 'starting' | 'stopping' | undefined): void {
    this.#forgetWatch()
    this.#postmaster = postmaster
    this.#phase = phase
    this.#forgetWatch = postmaster.onGone(this.#context.clock, WATCH_MS, () => {
      if (this.#postmaster === postmaster) this.#drop()
    })
  }

  /** The postmaster is gone: its backends must not acknowledge anything any more, so they go too. */
  #drop(): void {
    this.#forgetWatch()
    this.#postmaster = undefined
    this.#phase = undefined
    const { clock, log } = this.#context
    endOrphans(this.#realPath, clock, Deadline.in(clock, KILL_MS)).catch((error: unknown) =>
      log.error(`cannot look for processes that the server left behind: ${String(error)}`),
    )
    this.#onGone()
  }

  /** The storage does not answer, but /proc does: without a process in the directory nothing runs. */
  async #lookWithoutStorage(): Promise<ProcessLook> {
    const trouble = `the data directory ${this.#context.config.postgres.dataDir} does not answer: its storage hangs or is very slow`
    const hasFamily = (await familyOf(this.#realPath)).length > 0
    const isResolved = this.#dataDirectory !== 'unknown'
    return {
      process: isResolved && !hasFamily ? 'stopped' : 'unknown',
      dataDirectory: 'unknown',
      pid: undefined,
      trouble,
    }
  }

  /** A standby with smaller values than its last primary had would refuse to start: the larger ones are used. */
  async #commandLine(intent: Intent, by: Deadline): Promise<Readonly<Record<string, string>>> {
    const { log } = this.#context
    const parameters: Record<string, string> = { ...this.#context.commandLine() }
    this.#hasRaisedMinima = false
    if (intent.role === 'primary') return parameters
    const minima = (await this.controlFile(by))?.primarySettings ?? {}
    for (const [name, minimum] of Object.entries(minima)) {
      const value = parameters[name]
      if (value === undefined || Number(value) >= minimum) continue
      log.warning(
        `starting with ${name} = ${minimum} instead of ${value}: the primary had it, a standby needs it`,
      )
      parameters[name] = String(minimum)
      this.#hasRaisedMinima = true
    }
    return parameters
  }

  async #waitReady(signal: AbortSignal): Promise<boolean> {
    const { clock, config } = this.#context
    const startedMs = clock.monotonicMs()
    while (!signal.aborted) {
      if (!(await this.#isAlive())) {
        const why = await this.lastWords(Deadline.in(clock, CONTROL_MS))
        this.#context.log.error(
          `PostgreSQL did not start: ${why === '' ? `see ${this.#context.logFile}` : why}`,
        )
        return false
      }
      const answer = await ping(
        this.#context.door(),
        config.postgres.superuser.username,
        Deadline.in(clock, PING_MS),
      )
      if (answer === 'accepting') {
        this.noteReady()
        return true
      }
      const isSlow = clock.monotonicMs() - startedMs > SLOW_AFTER_MS
      await clock.sleep(isSlow ? SLOW_POLL_MS : POLL_MS, signal).catch(() => {})
    }
    return false
  }

  /** Waits for the end, tells early when the control file is final, and kills everybody at the deadline. */
  async #awaitStop(
    postmaster: Postmaster,
    options: StopOptions,
    checkpointerPid: number | undefined,
  ): Promise<void> {
    const { clock } = this.#context
    let writer = checkpointerPid
    let isTold = options.onShutDown === undefined || options.mode === 'immediate'
    let nextReadMs = clock.monotonicMs() + CONTROL_POLL_MS
    while (await postmaster.isAlive()) {
      if (options.by.isOver()) return
      await clock.sleep(POLL_MS)
      if (isTold) continue
      const isWritten = writer !== undefined && (await statOf(writer)) === undefined
      if (!isWritten && clock.monotonicMs() < nextReadMs) continue
      if (isWritten) writer = undefined
      nextReadMs = clock.monotonicMs() + CONTROL_POLL_MS
      isTold = this.#tellShutDown(await this.controlFile(Deadline.in(clock, CONTROL_MS)), options)
    }
    if (!isTold) this.#tellShutDown(await this.controlFile(Deadline.in(clock, CONTROL_MS)), options)
  }

  #tellShutDown(control: ControlFile | undefined, options: StopOptions): boolean {
    const lsn = shutdownLsn(control)
    if (lsn === undefined) return false
    options.onShutDown?.(lsn)
    return true
  }

  async #readControlFile(by: Deadline): Promise<ControlFile | undefined> {
    const binaries = await this.#context.binaries(by).catch(() => undefined)
    if (binaries === undefined) return undefined
    return readControlFile(binaries.path('pg_controldata'), this.#context.config.postgres.dataDir, by)
  }
}

function shutdownLsn(control: ControlFile | undefined): Lsn | undefined {
  return control?.state === 'shut down' ? control.checkpointLsn : undefined
}

function publicState(look: DirectoryLook): DataDirectoryState {
  switch (look.state) {
    case 'absent':
    case 'empty':
    case 'unfinished':
      return 'empty'
    case 'initialized':
      return 'initialized'
    default:
      return 'unreadable'
  }
}
