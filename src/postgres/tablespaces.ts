// Where a copy puts tablespaces. A copy that fails leaves what it wrote there, and the next one would find its places taken.

import type { Deadline } from '../platform/deadline.ts'
import { withConnection } from './connection.ts'
import type { Context } from './context.ts'
import type { Upstream } from './port.ts'
import { optionList } from './tool-options.ts'

const ASK_MS = 5_000
const PLACES_SQL =
  "SELECT pg_tablespace_location(oid) AS place FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%'"

/**
 * The directories that a copy of `source` will fill and that hold nothing now: what is in them after a failure is the copy's.
 * Empty when the source does not say.
 */
export async function placesToFill(
  context: Context,
  source: Upstream,
  by: Deadline,
): Promise<readonly string[]> {
  const target = context.remote(source.address, context.config.postgres.rewind, false)
  const ask = by.within(ASK_MS)
  const rows = await withConnection(target, ask, connection => connection.query(PLACES_SQL, ask)).catch(
    () => [],
  )
  if (rows.length === 0) return []
  const moved = mapping(context)
  const places = rows.map(row => moved.get(row['place'] ?? '') ?? row['place'] ?? '')
  return await context.data.emptyPlaces(places, by)
}

/** pg_basebackup's `tablespace-mapping`, OLD=NEW; an equals sign in a name has a backslash before it. */
function mapping(context: Context): ReadonlyMap<string, string> {
  const values = optionList(context.basebackupOptions)
    .filter(({ name }) => name === 'tablespace-mapping')
    .map(({ value }) => /^((?:[^=\\]|\\.)*)=(.*)$/s.exec(value ?? ''))
  const plain = (text = '') => text.replaceAll('\\=', '=')
  return new Map(values.map(match => [plain(match?.[1]), plain(match?.[2])]))
}
