// A session for one who looks at a server again and again: a server that forks a process for every look has time for little
// else on a small machine.

import type pg from 'pg'
import { clientFor, endQuickly, queryOnce, type SqlTarget } from './sql.ts'

/** Soon enough that nobody finds it who counts sessions or waits for their end. */
const UNUSED_MS = 1_000

export class KeptSession {
  readonly #target: () => SqlTarget
  #client: pg.Client | undefined
  #isBusy = false
  #end: NodeJS.Timeout | undefined

  constructor(target: () => SqlTarget) {
    this.#target = target
  }

  /**
   * Runs one statement, which must leave nothing behind in its session, and resolves to its rows. Rejects as queryOnce does;
   * the session goes then, and a second after its last use. Who asks meanwhile gets one of his own.
   */
  async query<Row extends pg.QueryResultRow>(sql: string): Promise<readonly Row[]> {
    if (this.#isBusy) return queryOnce<Row>(this.#target(), sql)
    this.#isBusy = true
    clearTimeout(this.#end)
    try {
      const client = await this.#connected()
      const { rows } = await client.query<Row>(sql)
      this.#end = setTimeout(() => this.#drop(), UNUSED_MS)
      this.#end.unref()
      return rows
    } catch (error) {
      this.#drop()
      throw error
    } finally {
      this.#isBusy = false
    }
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client
    const client = clientFor(this.#target())
    // The server is gone, or ends its sessions.
    const forget = () => {
      if (this.#client === client) this.#client = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    this.#client = client
    await client.connect()
    return client
  }

  #drop(): void {
    const client = this.#client
    this.#client = undefined
    if (client !== undefined) void endQuickly(client)
  }
}
