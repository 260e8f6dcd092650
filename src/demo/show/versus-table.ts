// The table at the end of `--versus`. Pure.

import type { HaproxyTimings } from '../haproxy.ts'
import type { FaultName } from './faults.ts'
import { pad, wrap } from './text.ts'
import { count, seconds } from './words.ts'

/** What the clients of one side saw. */
export interface Side {
  readonly name: string
  readonly outageMs: number
  /** Errors 25006: a write session that was led to a server in recovery. */
  readonly readOnly: number
  /** Attempts that got no session. */
  readonly refused: number
  /** Sessions that broke before the answer to a row. */
  readonly broken: number
  readonly lost: number
  readonly doubled: number
  readonly acknowledged: number
}

const TITLES: Readonly<Record<FaultName, string>> = {
  kill: "the leader's agent and server killed at the same instant",
  agent: "the leader's agent killed at the same instant, its server left alone",
  freeze: "everything on the leader's host frozen at the same instant",
  switchover: 'a switchover asked for at the same instant',
}

/** What a side is deployed with, by the names of its own configuration. */
export interface Terms {
  readonly ttl: number
  readonly loop_wait: number
  readonly retry_timeout: number
  readonly synchronous_mode?: string
  readonly synchronous_mode_strict?: boolean
}

/** Patroni takes no ttl below this. */
const USUAL_TTL_MIN = 20

const NOTE_COLUMNS = 105

function notesOn(ours: Terms, theirs: Terms): readonly string[] {
  const lease =
    ours.ttl === theirs.ttl
      ? `Each side has its own numbers, and the same ttl of ${ours.ttl} s: what differs is what comes after the lease has ended.`
      : `Each side has its own numbers: pgherd those of this demo, with a ttl of ${ours.ttl} s, the other side those of the ` +
        `deployment it was copied from. --ttl ${theirs.ttl} gives pgherd the other side's lease: then what differs is what ` +
        'comes after the lease has ended.'
  const commits =
    'A commit of pgherd waits for a standby here, so that no row can be lost; the other side commits as it was deployed.'
  return [
    lease,
    ...(commitsOf(ours) === commitsOf(theirs) ? [] : [commits]),
    "The other side spoke etcd's v2 API (etcd:); etcd 3.4 has that switched off, so it uses etcd3: here.",
    'Every row is written over a new connection.',
  ].flatMap(note => wrap(note, NOTE_COLUMNS))
}

function leaseOf({ ttl, loop_wait: loop, retry_timeout: retry }: Terms): string {
  return `ttl ${ttl}${ttl < USUAL_TTL_MIN ? ' (short)' : ''}, loop ${loop}, retry ${retry}`
}

function commitsOf({ synchronous_mode: mode = 'off', synchronous_mode_strict: isStrict }: Terms): string {
  if (mode === 'off') return 'asynchronous'
  return `synchronous_mode ${mode}${isStrict === true ? ', strict' : ''}`
}

/** Settings come above the figures; `terms` are ours and theirs. */
export function printComparison(
  fault: FaultName,
  sides: readonly Side[],
  terms: readonly [Terms, Terms],
  { intervalMs, fall, rise }: HaproxyTimings,
): readonly string[] {
  const [ours, theirs] = terms
  const settings: readonly (readonly [string, string, string])[] = [
    ['lease', leaseOf(ours), leaseOf(theirs)],
    ['routing', 'watches etcd, probes 500 ms', `checks ${intervalMs / 1000} s, fall ${fall}, rise ${rise}`],
    ['commits', commitsOf(ours), commitsOf(theirs)],
    ['etcd', 'three members, v3 API', 'the same; etcd3: for etcd:'],
  ]
  const figures: readonly (readonly [string, (side: Side) => string])[] = [
    ['outage', side => seconds(side.outageMs)],
    ['errors 25006', side => count(side.readOnly)],
    ['refused', side => count(side.refused)],
    ['broken off', side => count(side.broken)],
    ['lost rows', side => count(side.lost)],
    ['doubled rows', side => count(side.doubled)],
    ['acknowledged', side => count(side.acknowledged)],
  ]
  const rows: readonly (readonly string[])[] = [
    ['', ...sides.map(({ name }) => name)],
    ...settings,
    ...figures.map(([what, print]) => [what, ...sides.map(print)]),
  ]
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const rule = widths.map(width => '-'.repeat(width + 2)).join('+')
  const printed = rows.map(row => row.map((text, column) => ` ${pad(text, widths[column] ?? 0)} `).join('|'))
  const [head = '', ...body] = printed
  const above = body.slice(0, settings.length)
  return [
    '',
    TITLES[fault],
    '',
    head,
    rule,
    ...above,
    rule,
    ...body.slice(settings.length),
    '',
    ...notesOn(ours, theirs),
  ]
}
