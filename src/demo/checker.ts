// Compares what clients were told with what the final leader has.

import type { Tally } from './tally.ts'
import { WRITES_TABLE } from './writer.ts'

/** The verdict. `missing` and `doubled` are row ids and must be empty where no loss is promised. */
export interface Verdict {
  readonly acknowledged: number
  readonly present: number
  readonly missing: readonly number[]
  readonly doubled: readonly number[]
  /** Rows that are there although their writer got an error: allowed, an answer can be lost. */
  readonly unacknowledged: number
}

/** Runs one statement and resolves to its rows. */
export type Ask = <Row extends { [column: string]: unknown }>(
  sql: string,
  values: readonly unknown[],
) => Promise<readonly Row[]>

const PAGE_ROWS = 50_000

/** Reads all ids from the leader (never from a replica: it may lag) and compares them with the tally. */
export async function checkWrites(ask: Ask, tally: Tally, table: string = WRITES_TABLE): Promise<Verdict> {
  return compare(tally.acknowledgedIds, await readCounts(ask, table))
}

/** The comparison itself: ids that were acknowledged, and how often each id is there. */
export function compare(acknowledged: readonly number[], counts: ReadonlyMap<number, number>): Verdict {
  const known = new Set(acknowledged)
  return {
    acknowledged: known.size,
    present: [...counts.values()].reduce((sum, count) => sum + count, 0),
    missing: [...known].filter(id => !counts.has(id)),
    doubled: [...counts].filter(([, count]) => count > 1).map(([id]) => id),
    unacknowledged: [...counts.keys()].filter(id => !known.has(id)).length,
  }
}

async function readCounts(ask: Ask, table: string): Promise<ReadonlyMap<number, number>> {
  const counts = new Map<number, number>()
  const page = `SELECT id::float8 AS id, count(*)::int AS count FROM ${table} WHERE id > $1 GROUP BY id ORDER BY id LIMIT ${PAGE_ROWS}`
  let last = 0
  for (;;) {
    const rows = await ask<{ id: number; count: number }>(page, [last])
    for (const { id, count } of rows) counts.set(id, count)
    if (rows.length < PAGE_ROWS) return counts
    last = rows.at(-1)?.id ?? last
  }
}
