// All log files of a test, merged into one story. Reads files only; knows the time stamps of everything that we start.

import { open, readdir } from 'node:fs/promises'
import path from 'node:path'

/** A file's tail is enough: what led to a failure stands at its end. */
const FILE_BYTES_MAX = 4 * 1024 * 1024

const LINE_CHARACTERS_MAX = 240

interface Entry {
  readonly atMs: number
  readonly source: string
  readonly lines: readonly string[]
}

/** What etcd says at level info is mostly about its own connections; of those lines only these matter to a failover. */
const ETCD_NEWS =
  /elected leader|leader changed|lost leader|became leader|starting etcd|closed etcd|snapshot|serving client/

/**
 * The lines of all `*.log` files below `directory`, oldest first, as `HH:MM:SS.mmm source | text` in local time. A line
 * without a time stamp stays with the line above it. A missing directory is an empty timeline.
 */
export async function mergedTimeline(directory: string): Promise<readonly string[]> {
  const files = await logFiles(directory)
  const entries = await Promise.all(
    files.map(async file =>
      parseLog(path.relative(directory, file).replace(/\.log$/, ''), await readTail(file)),
    ),
  )
  const width = Math.max(0, ...files.map(file => path.relative(directory, file).length - '.log'.length))
  return entries
    .flat()
    .sort((left, right) => left.atMs - right.atMs)
    .flatMap(entry =>
      entry.lines.map(line => `${clockTime(entry.atMs)} ${entry.source.padEnd(width)} | ${line}`),
    )
}

/** Its warnings about peers that come and go say the same thing several times. */
const ETCD_NOISE = /TCP streaming connection|failed to find remote peer|failed to create ServerTransport/

/** A line as people read it: JSON becomes its level and message with the fields behind; noise becomes undefined. */
export function readableLine(line: string): string | undefined {
  if (ETCD_NOISE.test(line)) return undefined
  if (!line.startsWith('{"level":"')) return line
  const { level, ts: _ts, caller: _caller, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  if (level === 'info' && !ETCD_NEWS.test(String(msg))) return undefined
  return `${level} ${msg} ${JSON.stringify(fields)}`.slice(0, LINE_CHARACTERS_MAX)
}

/** Splits one log into entries: a line with a time stamp and the lines without one that follow it. */
export function parseLog(source: string, text: string): readonly Entry[] {
  const entries: { atMs: number; source: string; lines: string[] }[] = []
  for (const written of text.split('\n')) {
    const line = written === '' ? undefined : readableLine(written)
    if (line === undefined) continue
    const atMs = timestampMs(written)
    const last = entries.at(-1)
    // Equal stamps share an entry: the order within one file is the order in which it was written.
    if (last !== undefined && (atMs === undefined || atMs <= last.atMs)) last.lines.push(line)
    else entries.push({ atMs: atMs ?? 0, source, lines: [line] })
  }
  return entries
}

/**
 * The wall time in a log line's stamp: pino's and etcd's JSON, and `date time` with `,` or `.` before the fraction as
 * Patroni, our agents, PostgreSQL and etcd write it. Local time unless the stamp says UTC.
 */
export function timestampMs(line: string): number | undefined {
  if (line.startsWith('{')) return jsonTimestampMs(line)
  const stamp = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,6}))?(?: ?(UTC|GMT|Z)\b)?/.exec(
    line,
  )
  if (stamp === null) return unixDateMs(line)
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = stamp.slice(1, 7).map(Number)
  const fractionMs = Number(`0.${stamp[7] ?? '0'}`) * 1000
  const parts = [year, month - 1, day, hour, minute, second] as const
  return (stamp[8] === undefined ? new Date(...parts).getTime() : Date.UTC(...parts)) + fractionMs
}

/** `Tue Nov 24 04:47:36 2026: ...`, as keepalived writes it. */
function unixDateMs(line: string): number | undefined {
  const stamp = /^[A-Z][a-z]{2} ([A-Z][a-z]{2} [ \d]\d) (\d\d:\d\d:\d\d) (\d{4}):/.exec(line)
  return stamp === null ? undefined : Date.parse(`${stamp[1]} ${stamp[3]} ${stamp[2]}`)
}

function jsonTimestampMs(line: string): number | undefined {
  const stamp = /"(?:time|ts)":(?:"([^"]+)"|(\d+(?:\.\d+)?))/.exec(line)
  if (stamp === null) return undefined
  const atMs = stamp[1] === undefined ? Number(stamp[2]) : Date.parse(stamp[1])
  return Number.isNaN(atMs) ? undefined : atMs
}

function clockTime(atMs: number): string {
  const at = new Date(atMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  return `${time}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

async function logFiles(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true }).catch(() => [])
  return names
    .filter(name => name.endsWith('.log'))
    .sort()
    .map(name => path.join(directory, name))
}

async function readTail(file: string): Promise<string> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const start = Math.max(0, size - FILE_BYTES_MAX)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
