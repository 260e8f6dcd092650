// Log lines for people and for journald. Writing never waits: a reader that stops reading costs counted lines,
// never the lease (a blocked write to a pipe would stop the whole process).

import pino from 'pino'

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

/** The process's own log, whose level may change while it runs. */
export interface ProcessLog extends Logger {
  setLevel(level: LogLevel): void
}

/** Where lines go and how they look. */
export interface LogOptions {
  readonly type: 'plain' | 'json'
  readonly level: LogLevel
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
const NAMES: Readonly<Record<number, string>> = {
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARNING',
  50: 'ERROR',
  60: 'CRITICAL',
}

/** `YYYY-MM-DD HH:MM:SS,mmm` in local time: the time stamp that Patroni's log readers expect. */
export function plainTimestamp(wallMs: number): string {
  const at = new Date(wallMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  return `${day} ${time},${String(at.getMilliseconds()).padStart(3, '0')}`
}

/** A JSON line of pino as a plain line: `time LEVEL: text`. Fields stay out, the sentence says what matters. */
export function plainLine(jsonLine: string): string {
  const record = JSON.parse(jsonLine) as { level: number; time: number; msg?: string }
  return `${plainTimestamp(record.time)} ${NAMES[record.level] ?? 'INFO'}: ${record.msg ?? ''}\n`
}

class PinoLogger implements Logger {
  readonly #pino: pino.Logger<'critical' | 'warning'>

  constructor(logger: pino.Logger<'critical' | 'warning'>) {
    this.#pino = logger
  }

  debug(text: string, fields: LogFields = {}): void {
    this.#pino.debug(fields, text)
  }

  info(text: string, fields: LogFields = {}): void {
    this.#pino.info(fields, text)
  }

  warning(text: string, fields: LogFields = {}): void {
    this.#pino.warning(fields, text)
  }

  error(text: string, fields: LogFields = {}): void {
    this.#pino.error(fields, text)
  }

  critical(text: string, fields: LogFields = {}): void {
    this.#pino.critical(fields, text)
  }

  with(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(fields))
  }

  /** From the next line on; loggers made by `with` keep theirs. */
  setLevel(level: LogLevel): void {
    this.#pino.level = level
  }
}

/** Opens the process's log. Built only in `commands/`. */
export function openLog(options: LogOptions): ProcessLog {
  const sink = pino.destination({ dest: options.fd, sync: false, maxLength: BUFFER_BYTES_MAX })
  sink.on('drop', () => options.onLost?.(1))
  sink.on('error', () => options.onLost?.(1))
  const stream =
    options.type === 'json'
      ? sink
      : { write: (line: string) => void sink.write(plainLine(line)), flushSync: () => sink.flushSync() }
  return new PinoLogger(
    pino(
      {
        base: null,
        level: options.level,
        customLevels: { warning: SEVERITY.warning, critical: SEVERITY.critical },
        formatters: { level: (_label, number) => ({ level: number }) },
      },
      stream,
    ),
  )
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
