// The agent's log as its file wants it: the look, and the file in place of standard error.

import type { LogConfig } from '../config/agent/types.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { type LogHealth, type LogLook, openLog, type ProcessLog } from '../platform/log.ts'
import { LogFile } from '../platform/log-file.ts'
import { compileLook } from '../platform/log-format.ts'

const CLOSE_MS = 1_000

/** Another configuration, ready to be taken. */
export interface NextLog {
  take(): void
  /** Something else of the reload failed. */
  drop(): void
}

export class AgentLog {
  /** What every part logs through. */
  readonly log: ProcessLog
  #file: LogFile | undefined

  private constructor(log: ProcessLog) {
    this.log = log
  }

  /** Throws UserError when the file cannot be written; `configFile` is named in it. */
  static async open(config: LogConfig, configFile: string): Promise<AgentLog> {
    const opened = new AgentLog(openLog({ ...lookOf(config), type: 'plain', fd: 2 }))
    const next = await opened.prepare(config, configFile)
    next.take()
    return opened
  }

  /** Opens what another configuration needs. Throws UserError when its file cannot be written; nothing has changed yet. */
  async prepare(config: LogConfig, configFile: string): Promise<NextLog> {
    const isSameFile = config.file?.path === this.#file?.path
    const fresh =
      config.file === undefined || isSameFile ? undefined : await openFile(config.file, configFile)
    return {
      take: () => {
        if (isSameFile) {
          if (config.file !== undefined) this.#file?.configure(config.file)
        } else this.#replace(fresh)
        this.log.setLook(lookOf(config))
      },
      drop: () => void (fresh === undefined ? undefined : closeInTime(fresh)),
    }
  }

  #replace(fresh: LogFile | undefined): void {
    const before = this.#file
    this.#file = fresh
    this.log.setFile(fresh)
    if (before !== undefined) void closeInTime(before)
  }

  health(): LogHealth {
    return this.log.health()
  }

  /** Everything is written before what others write next; a disk or a reader that hangs is given up. */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.log.setFile(undefined)
    if (file !== undefined) await closeInTime(file)
    await Deadline.in(realClock, CLOSE_MS)
      .run('writing the log', () => this.log.written())
      .catch(() => {})
  }
}

function lookOf({ level, levels, look }: LogConfig): LogLook {
  return { level, levels, print: compileLook(look).print }
}

async function openFile(options: NonNullable<LogConfig['file']>, configFile: string): Promise<LogFile> {
  try {
    return await LogFile.open(options)
  } catch (error) {
    throw new UserError(
      `${configFile}: log.dir: cannot write ${options.path}: ${messageOf(error)}: create the directory for the agent's user, ` +
        'or leave the setting out to log to standard error',
    )
  }
}

async function closeInTime(file: LogFile): Promise<void> {
  await Deadline.in(realClock, CLOSE_MS)
    .run('closing the log', () => file.close())
    .catch(() => {})
}
