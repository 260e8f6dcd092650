// Which process our postmaster is, and its signals. Owns the pid; asks the server nothing by SQL.

import { Deadline } from '../platform/deadline.ts'
import type { Context } from './context.ts'
import { type ControlFile, readControlFile } from './control-data.ts'
import type { DirectoryLook } from './data-directory.ts'
import { endFamily, endOrphans, familyOf, killFamily } from './family.ts'
import { directoryMistake } from './mistakes.ts'
import type { DataDirectoryState, ProcessState } from './port.ts'
import { Postmaster, SERVICE_FILE_VARIABLE } from './postmaster.ts'
import { wasStartedWith } from './procfs.ts'

const KILL_MS = 10_000
/** How soon the death of a postmaster that is not our child is noticed. */
const WATCH_MS = 100
const ENVIRONMENT_MS = 1_000

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
  #controlFile: Promise<ControlFile | undefined> | undefined

  constructor(context: Context) {
    this.#context = context
    this.#realPath = context.config.postgres.dataDir
  }

  get pid(): number | undefined {
    return this.#postmaster?.pid
  }

  /** The data directory as /proc prints it. */
  get realPath(): string {
    return this.#realPath
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
    if (await this.isAlive()) {
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

  /** Does the postmaster that we know still exist? */
  async isAlive(): Promise<boolean> {
    if (this.#postmaster === undefined) return false
    if (await this.#postmaster.isAlive()) return true
    this.#drop()
    return false
  }

  /** From now on this is our postmaster. */
  take(postmaster: Postmaster, phase: 'starting' | 'stopping' | undefined): void {
    this.#forgetWatch()
    this.#postmaster = postmaster
    this.#phase = phase
    this.#forgetWatch = postmaster.onGone(this.#context.clock, WATCH_MS, () => {
      if (this.#postmaster === postmaster) this.#drop()
    })
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

  /** Kills until nobody is left in the data directory. False when somebody is stuck in the kernel. */
  endFamily(): Promise<boolean> {
    const { clock } = this.#context
    return endFamily(this.#realPath, clock, Deadline.in(clock, KILL_MS))
  }

  close(): void {
    this.#forgetWatch()
  }

  #known(): Omit<ProcessLook, 'trouble'> {
    return { process: this.#phase ?? 'running', dataDirectory: 'initialized', pid: this.#postmaster?.pid }
  }

  async #adopt(look: DirectoryLook): Promise<void> {
    if (look.postmaster === undefined || this.#postmaster !== undefined) return
    // Taking over initdb's own server would mean to end its successor as an orphan when it is done.
    if (look.postmaster.singleUser) return
    const found = await Postmaster.find(look.postmaster, this.#realPath)
    if (found === undefined) return
    this.#context.readsServiceFile = await this.#knowsServiceFile(found.pid)
    const { status } = look.postmaster
    this.take(found, status === 'starting' ? 'starting' : status === 'stopping' ? 'stopping' : undefined)
    this.#context.log.info(`took over the running PostgreSQL server (pid ${found.pid})`)
  }

  /** Started by an older agent or by somebody else, a receiver would not find the service that its settings name. */
  async #knowsServiceFile(pid: number): Promise<boolean> {
    const { clock, serviceFile } = this.#context
    if (serviceFile === undefined) return false
    const by = Deadline.in(clock, ENVIRONMENT_MS)
    return await wasStartedWith(pid, SERVICE_FILE_VARIABLE, serviceFile, by).catch(() => false)
  }

  /** The postmaster is gone: its backends must not acknowledge anything any more, so they go too. */
  #drop(): void {
    this.#forgetWatch()
    this.#postmaster = undefined
    this.#phase = undefined
    this.#context.readsServiceFile = true
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

  async #readControlFile(by: Deadline): Promise<ControlFile | undefined> {
    const binaries = await this.#context.binaries(by).catch(() => undefined)
    if (binaries === undefined) return undefined
    return readControlFile(this.#context.data, binaries.path('pg_controldata'), by)
  }
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
