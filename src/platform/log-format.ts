// How a log line looks: the formats and dates that patroni.yml may hold (those of Python's logging), compiled once. Pure.

/** A line before it is printed. */
export interface LogRecord {
  readonly severity: number
  readonly wallMs: number
  readonly text: string
  /** Of the part that wrote it: `pgherd.postgres`. */
  readonly logger: string
  readonly fields: Readonly<Record<string, unknown>>
}

export type PrintRecord = (record: LogRecord) => string

/** What the compiler did not know, for one warning each. */
export interface Compiled<T> {
  readonly print: T
  readonly unknown: readonly string[]
}

/** Fields of a JSON line, each by the name that it is called there. */
export type JsonFields = readonly (readonly [field: string, called: string])[]

/** A look as data: a configuration holds it, a log compiles it. */
export interface LineLook {
  /** A text is a plain line, fields are a JSON one. */
  readonly format: string | JsonFields
  /** As strftime takes it; undefined: `YYYY-MM-DD HH:MM:SS,mmm`. */
  readonly dateFormat: string | undefined
  /** In every line. */
  readonly fixed: Readonly<Record<string, string>>
}

export function compileLook({ format, dateFormat, fixed }: LineLook): Compiled<PrintRecord> {
  return typeof format === 'string'
    ? compileFormat(format, dateFormat, fixed)
    : compileJson(format, dateFormat, fixed)
}

const NAMES: Readonly<Record<number, string>> = {
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARNING',
  50: 'ERROR',
  60: 'CRITICAL',
}
/** Python counts levels otherwise. */
const PYTHON_LEVELS: Readonly<Record<number, number>> = { 20: 10, 30: 20, 40: 30, 50: 40, 60: 50 }

export const DEFAULT_FORMAT = '%(asctime)s %(levelname)s: %(message)s'
export const DEFAULT_JSON_FIELDS: JsonFields = [
  ['asctime', 'asctime'],
  ['levelname', 'levelname'],
  ['message', 'message'],
]

/** `YYYY-MM-DD HH:MM:SS,mmm` in local time: the time stamp that Patroni's log readers expect. */
export function plainTimestamp(wallMs: number): string {
  return `${printDate('%Y-%m-%d %H:%M:%S', new Date(wallMs))},${digits(new Date(wallMs).getMilliseconds(), 3)}`
}

type Value = (record: LogRecord) => string | number

/** The values that a format may name. `date` prints asctime. */
function values(date: (wallMs: number) => string): ReadonlyMap<string, Value> {
  return new Map<string, Value>([
    ['asctime', ({ wallMs }) => date(wallMs)],
    ['created', ({ wallMs }) => (wallMs / 1000).toFixed(6)],
    ['msecs', ({ wallMs }) => Math.floor(wallMs % 1000)],
    ['levelname', ({ severity }) => NAMES[severity] ?? 'INFO'],
    ['levelno', ({ severity }) => PYTHON_LEVELS[severity] ?? 20],
    ['message', ({ text }) => text],
    ['name', ({ logger }) => logger],
    ['module', ({ logger }) => logger.split('.').at(-1) ?? ''],
    ['process', () => process.pid],
    ['processName', () => 'MainProcess'],
    ['threadName', () => 'MainThread'],
  ])
}

/** A plain format: `%(name)s` with an optional width, and `%%`. Names that it does not know print nothing. */
export function compileFormat(
  format: string,
  dateFormat: string | undefined,
  fixed: Readonly<Record<string, string>> = {},
): Compiled<PrintRecord> {
  const date = compileDate(dateFormat)
  const known = values(date.print)
  const unknown = [...date.unknown]
  const parts = format.split(/(%\(\w+\)[-0 ]?\d*(?:\.\d+)?[sdif]|%%)/).map((piece, index): Value => {
    if (index % 2 === 0) return () => piece
    const match = /^%\((\w+)\)([-0 ]?)(\d*)(?:\.(\d+))?[sdif]$/.exec(piece)
    if (match === null) return () => '%'
    const [, name = '', flag = '', width = '', decimals] = match
    const value = known.get(name) ?? fixedValue(fixed, name)
    if (value === undefined) {
      unknown.push(`%(${name})`)
      return () => ''
    }
    return record => pad(rounded(value(record), decimals), flag, Number(width))
  })
  return { print: record => `${parts.map(part => part(record)).join('')}\n`, unknown }
}

function fixedValue(fixed: Readonly<Record<string, string>>, name: string): Value | undefined {
  const value = fixed[name]
  return value === undefined ? undefined : () => value
}

function rounded(value: string | number, decimals: string | undefined): string {
  if (decimals === undefined) return String(value)
  return typeof value === 'number' ? value.toFixed(Number(decimals)) : value.slice(0, Number(decimals))
}

function pad(text: string, flag: string, width: number): string {
  return flag === '-' ? text.padEnd(width) : text.padStart(width, flag === '0' ? '0' : ' ')
}

/** Lines of JSON: the listed fields by the names that they are called, then our own facts, then those that never change. */
export function compileJson(
  fields: JsonFields,
  dateFormat: string | undefined,
  fixed: Readonly<Record<string, string>>,
): Compiled<PrintRecord> {
  const date = compileDate(dateFormat)
  const known = values(date.print)
  const unknown = [...date.unknown, ...fields.map(([field]) => field).filter(field => !known.has(field))]
  const print = (record: LogRecord) => {
    const line: Record<string, unknown> = {}
    for (const [field, called] of fields) line[called] = known.get(field)?.(record) ?? null
    return `${JSON.stringify({ ...line, ...record.fields, ...fixed }, wholeNumbers)}\n`
  }
  return { print, unknown }
}

function wholeNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const
const MONTHS = [
  ...(['January', 'February', 'March', 'April', 'May', 'June'] as const),
  ...(['July', 'August', 'September', 'October', 'November', 'December'] as const),
]

/** What strftime knows and log formats use. */
const DATE_PARTS: Readonly<Record<string, (at: Date) => string>> = {
  Y: at => String(at.getFullYear()),
  y: at => digits(at.getFullYear() % 100),
  m: at => digits(at.getMonth() + 1),
  d: at => digits(at.getDate()),
  H: at => digits(at.getHours()),
  I: at => digits(at.getHours() % 12 || 12),
  M: at => digits(at.getMinutes()),
  S: at => digits(at.getSeconds()),
  p: at => (at.getHours() < 12 ? 'AM' : 'PM'),
  a: at => (DAYS[at.getDay()] ?? '').slice(0, 3),
  A: at => DAYS[at.getDay()] ?? '',
  b: at => (MONTHS[at.getMonth()] ?? '').slice(0, 3),
  B: at => MONTHS[at.getMonth()] ?? '',
  j: at => digits(Math.round((startOfDay(at) - startOfYear(at)) / 86_400_000) + 1, 3),
  s: at => String(Math.floor(at.getTime() / 1000)),
  z: zone,
  F: at => printDate('%Y-%m-%d', at),
  T: at => printDate('%H:%M:%S', at),
  '%': () => '%',
}

/** Without a format: the default stamp. */
function compileDate(format: string | undefined): Compiled<(wallMs: number) => string> {
  if (format === undefined) return { print: plainTimestamp, unknown: [] }
  const names = [...format.matchAll(/%(.)/g)].map(match => match[1] ?? '')
  const unknown = names.filter(name => !Object.hasOwn(DATE_PARTS, name)).map(name => `%${name}`)
  return { print: wallMs => printDate(format, new Date(wallMs)), unknown }
}

function printDate(format: string, at: Date): string {
  return format.replace(/%(.)/g, (whole, name: string) =>
    Object.hasOwn(DATE_PARTS, name) ? (DATE_PARTS[name]?.(at) ?? whole) : whole,
  )
}

function zone(at: Date): string {
  const minutes = -at.getTimezoneOffset()
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${digits(Math.floor(size / 60))}${digits(size % 60)}`
}

function startOfDay(at: Date): number {
  return Date.UTC(at.getFullYear(), at.getMonth(), at.getDate())
}

function startOfYear(at: Date): number {
  return Date.UTC(at.getFullYear(), 0, 1)
}

function digits(value: number, count = 2): string {
  return String(value).padStart(count, '0')
}
