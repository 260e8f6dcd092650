// Log lines for people and for journald. Writing never waits: a reader that stops reading costs counted lines,
// never the lease (a blocked write to a pipe would stop the whole process).

import pino from 'pino'
import type { LogFile } from './log-file.ts'
import { compileFormat, DEFAULT_FORMAT, type LogRecord, type PrintRecord } from './log-format.ts'

export { plainTimestamp } from './log-format.ts'

export type LogLevel = 'debug' | 'info' | 'warning' | 'error' | 'critical'

/** Facts beside the sentence; the fixed names are event, member, cluster, route, backend, session, rule, ms. */
export type LogFields = Readonly<Record<string, unknown>>

/** What every part logs through. The text is a sentence; fields carry what a program would search for. */
export interface Logger {
  debug(text: string, fields?: LogFields): void
  info(text: string, fields?: LogFields): void
  warning(text: string, fields?: LogFields): void
  error(text: string, fields?: LogFields): void
  critical(text: string, fields?: LogFields): void
  /** A logger that adds these fields to every line. */
  with(fields: LogFields): Logger
}

/** What may change while the process runs. */
export interface LogLook {
  readonly level: LogLevel
  /** Levels of single parts (`postgres`), before the level of all. */
  readonly levels?: ReadonlyMap<string, LogLevel>
  /** Undefined: as pino writes it for `json`, else `time LEVEL: text`. */
  readonly print?: PrintRecord
}

/** How the log fares. */
export interface LogHealth {
  /** Lines that wait to be written. */
  readonly queued: number
  /** Lines that were given up since the start. */
  readonly lost: number
}

/** The process's own log, whose look may change while it runs. */
export interface ProcessLog extends Logger {
  /** From the next line on, also for loggers made by `with`. */
  setLook(look: LogLook): void
  /** Lines go to this file and no longer to the descriptor; undefined: to the descriptor again. */
  setFile(file: LogFile | undefined): void
  health(): LogHealth
  /** Resolves when the descriptor has everything; never for a reader that has stopped, so give it a deadline. */
  written(): Promise<void>
}

/** Where lines go and how they look. */
export interface LogOptions extends LogLook {
  readonly type: 'plain' | 'json'
  readonly fd: number
  /** Called with the number of lines lost when the reader is too slow. */
  readonly onLost?: (lines: number) => void
}

const BUFFER_BYTES_MAX = 4 * 1024 * 1024
const SEVERITY: Readonly<Record<LogLevel, number>> = {
  debug: 20,
  info: 30,
  warning: 40,
  error: 50,
  critical: 60,
}

/** A JSON line of pino as a record. `part` is the name of the program's part. */
function readRecord(jsonLine: string): LogRecord {
  const { level, time, msg, ...fields } = JSON.parse(jsonLine) as {
    readonly level: number
    readonly time: number
    readonly msg?: string
    readonly part?: string
  }
  return { severity: level, wallMs: time, text: msg ?? '', logger: loggerName(fields.part), fields }
}

/** `pgherd`, `pgherd.postgres`. */
function loggerName(part: string | undefined): string {
  return part === undefined ? 'pgherd' : `pgherd.${part}`
}

/** Shared by a log and all loggers made from it. */
class Gate {
  #all = SEVERITY.info
  #parts: ReadonlyMap<string, LogLevel> = new Map()

  set({ level, levels }: LogLook): void {
    this.#all = SEVERITY[level]
    this.#parts = levels ?? new Map()
  }

  lets(level: LogLevel, part: string | undefined): boolean {
    const own = part === undefined ? undefined : this.#parts.get(part)
    return SEVERITY[level] >= (own === undefined ? this.#all : SEVERITY[own])
  }
}

class PinoLogger implements Logger {
  readonly #pino: pino.Logger<'critical' | 'warning'>
  readonly #gate: Gate
  readonly #part: string | undefined

  constructor(logger: pino.Logger<'critical' | 'warning'>, gate: Gate, part: string | undefined) {
    this.#pino = logger
    this.#gate = gate
    this.#part = part
  }

  debug(text: string, fields: LogFields = {}): void {
    this.#write('debug', text, fields)
  }

  info(text: string, fields: LogFields = {}): void {
    this.#write('info', text, fields)
  }

  warning(text: string, fields: LogFields = {}): void {
    this.#write('warning', text, fields)
  }

  error(text: string, fields: LogFields = {}): void {
    this.#write('error', text, fields)
  }

  critical(text: string, fields: LogFields = {}): void {
    this.#write('critical', text, fields)
  }

  /** The field `part` names the part of the program, which may have a level of its own. */
  with(fields: LogFields): Logger {
    const { part } = fields
    const name = typeof part === 'string' ? part : this.#part
    return new PinoLogger(this.#pino.child(fields), this.#gate, name)
  }

  #write(level: LogLevel, text: string, fields: LogFields): void {
    if (this.#gate.lets(level, this.#part)) this.#pino[level](fields, text)
  }
}

/** The sink of one process: a descriptor, or a file while there is one. */
class Sink {
  readonly #isJson: boolean
  readonly #onLost: (lines: number) => void
  readonly #descriptor: ReturnType<typeof pino.destination>
  #print: PrintRecord | undefined
  #file: LogFile | undefined
  #lost = 0
  #isPending = false

  constructor({ type, fd, onLost }: LogOptions) {
    this.#isJson = type === 'json'
    this.#onLost = onLost ?? (() => {})
    this.#descriptor = pino.destination({ dest: fd, sync: false, maxLength: BUFFER_BYTES_MAX })
    this.#descriptor.on('drop', () => this.#lose())
    this.#descriptor.on('drain', () => {
      this.#isPending = false
    })
    this.#descriptor.on('error', () => this.#lose())
  }

  setLook({ print }: LogLook): void {
    this.#print = print ?? (this.#isJson ? undefined : compileFormat(DEFAULT_FORMAT, undefined).print)
  }

  setFile(file: LogFile | undefined): void {
    // What the one before gave up stays counted.
    if (file !== this.#file) this.#lost += this.#file?.lost ?? 0
    this.#file = file
  }

  health(): LogHealth {
    return { queued: this.#file?.queued ?? 0, lost: this.#lost + (this.#file?.lost ?? 0) }
  }

  write(line: string): void {
    const record = readRecord(line)
    const shown = this.#print === undefined ? line : this.#print(record)
    this.#file?.write(shown)
    // What ends the process is seen even when there is no time left for the file.
    if (this.#file !== undefined && record.severity < SEVERITY.critical) return
    this.#isPending = true
    this.#descriptor.write(shown)
  }

  async written(): Promise<void> {
    if (this.#isPending) await new Promise(resolve => this.#descriptor.once('drain', resolve))
  }

  flushSync(): void {
    this.#descriptor.flushSync()
  }

  #lose(): void {
    this.#lost += 1
    this.#onLost(1)
  }
}

/** Opens the process's log. Built only in `commands/`. */
export function openLog(options: LogOptions): ProcessLog {
  const gate = new Gate()
  const sink = new Sink(options)
  const base = pino(
    {
      base: null,
      // What is too little is kept out before it comes here: parts have levels of their own.
      level: 'debug',
      customLevels: { warning: SEVERITY.warning, critical: SEVERITY.critical },
      formatters: { level: (_label, number) => ({ level: number }) },
    },
    sink,
  )
  const setLook = (look: LogLook) => {
    gate.set(look)
    sink.setLook(look)
  }
  setLook(options)
  return Object.assign(new PinoLogger(base, gate, undefined), {
    setLook,
    setFile: (file: LogFile | undefined) => sink.setFile(file),
    health: () => sink.health(),
    written: () => sink.written(),
  })
}

/** A logger that keeps nothing, for tests and for parts that are quiet by choice. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warning: () => {},
  error: () => {},
  critical: () => {},
  with: () => silentLogger,
}
