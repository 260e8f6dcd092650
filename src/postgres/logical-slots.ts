// The hands for logical slots: creates them on a primary, where PostgreSQL waits for every transaction that runs, and moves
// copies on a standby on, where it reads WAL. Both may take long, so they are done beside the agent's turns.

import pg from 'pg'
import { formatLsn } from '../cluster/lsn.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { PATIENT_SESSION, withConnection } from './connection.ts'
import type { Context } from './context.ts'
import { type LogicalPlan, logicalPlan, SYNCED_SINCE } from './logical-plan.ts'
import type { LogicalSlot, ServerFacts } from './port.ts'

/** A longer wait holds a snapshot back; it is given up and tried again. */
const SLOT_MS = 600_000

/** Works on one slot at a time. */
export class LogicalSlots {
  readonly #context: Context
  #abort = new AbortController()
  #work: Promise<void> | undefined
  #isClosed = false
  /** What was last said about each slot, so that a mistake is told once. */
  readonly #told = new Map<string, string>()

  constructor(context: Context) {
    this.#context = context
  }

  /** Begins to do what `wanted` needs on a server with these slots; returns at once. `keepsAll`: drops none. */
  begin(wanted: readonly LogicalSlot[], facts: ServerFacts, keepsAll = false): void {
    if (this.#work !== undefined || this.#isClosed) return
    const whole = logicalPlan(wanted, facts)
    const plan = keepsAll ? { ...whole, drop: [] } : whole
    for (const { name, says } of plan.complaints) this.#tell(name, says)
    if (plan.create.length + plan.drop.length + plan.advance.length === 0) return
    this.#abort = new AbortController()
    this.#work = this.#carryOut(plan, facts.serverVersion, this.#abort.signal).finally(() => {
      this.#work = undefined
    })
  }

  /** Ends what is under way: nobody moves a slot while the server is restarted or promoted. */
  async halt(): Promise<void> {
    this.#abort.abort(new Error('the server changes its role'))
    await this.#work
  }

  close(): void {
    this.#isClosed = true
    this.#abort.abort(new Error('closing'))
  }

  async #carryOut(plan: LogicalPlan, serverVersion: number, signal: AbortSignal): Promise<void> {
    for (const { name, why } of plan.drop) {
      const sql = `SELECT pg_drop_replication_slot(${pg.escapeLiteral(name)})`
      const isDone = await this.#try(name, 'dropped', sql, undefined, signal)
      if (isDone) this.#context.log.warning(`dropped logical slot ${name}: ${why}`)
    }
    for (const slot of plan.create) {
      const sql = createSlotSql(slot, serverVersion)
      const isDone = await this.#try(slot.name, 'created', sql, slot.database, signal)
      if (isDone) this.#context.log.info(`created logical slot ${slot.name} in ${slot.database}`)
    }
    for (const { slot, to } of plan.advance) {
      const sql = `SELECT pg_replication_slot_advance(${pg.escapeLiteral(slot.name)}, '${formatLsn(to)}')`
      await this.#try(slot.name, 'advanced', sql, slot.database, signal)
    }
  }

  async #try(
    name: string,
    what: string,
    sql: string,
    database: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (signal.aborted) return false
    const local = this.#context.local(PATIENT_SESSION)
    const by = Deadline.in(this.#context.clock, SLOT_MS)
    try {
      await by.run(
        what,
        until =>
          withConnection({ ...local, database: database ?? local.database }, by, async connection => {
            // A session that waits would keep our process alive.
            until.addEventListener('abort', () => connection.close(), { once: true })
            await connection.query(sql, by)
          }),
        signal,
      )
      this.#told.delete(name)
      return true
    } catch (error) {
      if (!signal.aborted) this.#tell(name, `cannot be ${what}: ${messageOf(error)}`)
      return false
    }
  }

  #tell(name: string, says: string): void {
    if (this.#told.get(name) === says) return
    this.#told.set(name, says)
    this.#context.log.warning(`logical slot ${name} ${says}`)
  }
}

/** From 17 on with two more arguments: no two-phase commits, and copies on standbys (failover). */
export function createSlotSql(
  { name, plugin }: Pick<LogicalSlot, 'name' | 'plugin'>,
  serverVersion: number,
): string {
  const words = [pg.escapeLiteral(name), pg.escapeLiteral(plugin), 'false']
  if (serverVersion >= SYNCED_SINCE) words.push('false', 'true')
  return `SELECT pg_create_logical_replication_slot(${words.join(', ')})`
}
