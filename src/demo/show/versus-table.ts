// The table at the end of `--versus`. Pure.

import type { FaultName } from './faults.ts'
import { pad } from './text.ts'
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

const NOTES: readonly string[] = [
  'Each side has its own numbers: pgherd those of this demo, whose ttl is short on purpose; the other side',
  'those of the deployment it was copied from. With one ttl for both, what differs is what comes after the',
  "lease has ended. --ttl 30 gives pgherd the other side's lease. The other side spoke etcd's v2 API (etcd:);",
  'etcd 3.4 has that switched off, so it uses etcd3: here. Every row is written over a new connection.',
]

/** Settings come as `[what, ours, theirs]`, above the figures. */
export function printComparison(
  fault: FaultName,
  sides: readonly Side[],
  settings: readonly (readonly [string, string, string])[],
): readonly string[] {
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
  return ['', TITLES[fault], '', head, rule, ...above, rule, ...body.slice(settings.length), '', ...NOTES]
}
