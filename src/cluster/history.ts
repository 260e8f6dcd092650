// The cluster's timelines, one line per switch, as the `history` key carries them.

import { asBigint, asInteger, asText, type Json, parseJson, printJson } from './json.ts'
import type { Lsn, Timeline } from './lsn.ts'

export interface HistoryLine {
  readonly timeline: Timeline
  /** The last position of that timeline. */
  readonly switchLsn: Lsn
  readonly reason: string
  readonly time: string | undefined
  readonly newLeader: string | undefined
}

/**
 * Reads the `history` key. Malformed lines are left out, but when the newest is malformed the whole value is undefined:
 * the cluster's timeline would come out too low, and a server that is behind would look fit to lead.
 */
export function parseHistory(value: string): readonly HistoryLine[] | undefined {
  const rows = parseJson(value)
  if (!Array.isArray(rows)) return undefined
  const lines = rows.map(parseLine)
  if (lines.length > 0 && lines.at(-1) === undefined) return undefined
  return lines.filter(line => line !== undefined)
}

function parseLine(line: Json): HistoryLine | undefined {
  if (!Array.isArray(line)) return undefined
  const timeline = asInteger(line[0])
  const switchLsn = asBigint(line[1])
  if (timeline === undefined || switchLsn === undefined) return undefined
  return {
    timeline,
    switchLsn,
    reason: asText(line[2]) ?? '',
    time: asText(line[3]),
    newLeader: asText(line[4]),
  }
}

export function printHistory(lines: readonly HistoryLine[]): string {
  return printJson(lines.map(printHistoryLine))
}

/** A line in the form of the `history` key and of `GET /history`. */
export function printHistoryLine(line: HistoryLine): readonly Json[] {
  const fields: Json[] = [line.timeline, line.switchLsn, line.reason]
  if (line.time !== undefined) fields.push(line.time)
  if (line.time !== undefined && line.newLeader !== undefined) fields.push(line.newLeader)
  return fields
}

/** The timeline that the cluster is on: undefined when the key is missing or cannot be read. */
export function clusterTimeline(lines: readonly HistoryLine[] | undefined): Timeline | undefined {
  if (lines === undefined) return undefined
  return (lines.at(-1)?.timeline ?? 0) + 1
}

/** Reads PostgreSQL's own `0000000N.history` file: `timeline <tab> LSN <tab> reason` lines, `#` comments. */
export function parseHistoryFile(text: string): readonly HistoryLine[] {
  const lines: HistoryLine[] = []
  for (const row of text.split('\n')) {
    const match = /^\s*(\d+)\s+([0-9A-Fa-f]+)\/([0-9A-Fa-f]+)\s*(.*)$/.exec(row)
    if (match === null) continue
    const switchLsn = (BigInt(`0x${match[2]}`) << 32n) | BigInt(`0x${match[3]}`)
    const reason = (match[4] ?? '').trim()
    lines.push({ timeline: Number(match[1]), switchLsn, reason, time: undefined, newLeader: undefined })
  }
  return lines
}
