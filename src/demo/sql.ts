// One question to one server over a connection of its own, with deadlines. For looking at a cluster, not for load.

import pg from 'pg'

/** Where to connect and as whom. */
export interface SqlTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database?: string
  /** Inside TLS; default: in clear text. */
  readonly ssl?: { readonly rejectUnauthorized: boolean }
}

const CONNECT_WITHIN_MS = 2_000
const ANSWER_WITHIN_MS = 5_000
const GOODBYE_MS = 300

/**
 * Runs one statement and resolves to its rows; rejects with the server's error, or when connecting (2 s) or the answer
 * (`withinMs`, default 5 s) takes too long.
 */
export async function queryOnce<Row extends pg.QueryResultRow>(
  target: SqlTarget,
  sql: string,
  values: readonly unknown[] = [],
  withinMs: number = ANSWER_WITHIN_MS,
): Promise<readonly Row[]> {
  const client = clientFor(target, withinMs)
  // A connection that breaks after its answer is nobody's problem; without a listener it would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<Row>(sql, [...values])
    return rows
  } finally {
    await endQuickly(client)
  }
}

/** Not connected yet; both limits are its own then. The caller listens for `error`. */
export function clientFor(target: SqlTarget, answerWithinMs: number = ANSWER_WITHIN_MS): pg.Client {
  return new pg.Client({
    ...target,
    database: target.database ?? 'postgres',
    connectionTimeoutMillis: CONNECT_WITHIN_MS,
    query_timeout: answerWithinMs,
  })
}

/** Says goodbye, but waits for nobody: a frozen server never closes its side. */
export async function endQuickly(client: pg.Client): Promise<void> {
  const patience = new Promise<void>(resolve => setTimeout(resolve, GOODBYE_MS).unref())
  await Promise.race([client.end().catch(() => {}), patience])
  client.connection.stream.destroy()
}
