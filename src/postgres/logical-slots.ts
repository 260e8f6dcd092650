// Logical replication slots that a primary should have. To create one PostgreSQL waits for every transaction that runs, so
// it is done beside the agent's turns.

import pg from 'pg'
import { Deadline } from '../platform/deadline.ts'
import { messageOf } from '../platform/errors.ts'
import { PATIENT_SESSION, withConnection } from './connection.ts'
import type { Context } from './context.ts'
import type { LogicalSlot, ServerFacts } from './port.ts'

/** A longer wait holds a snapshot back; it is given up and tried again. */
const CREATE_MS = 600_000
/** From this version on PostgreSQL itself carries a slot over to the standbys that ask for it. */
const FAILOVER_SINCE = 170000

/** Makes one slot at a time. */
export class LogicalSlots {
  readonly #context: Context
  readonly #abort = new AbortController()
  #isBusy = false
  /** What was last said about each slot, so that a mistake is told once. */
  readonly #told = new Map<string, string>()

  constructor(context: Context) {
    this.#context = context
  }

  /** Begins to create the first of `wanted` that is missing; returns at once. Does nothing on a standby. */
  createMissing(wanted: readonly LogicalSlot[], { role, slots, serverVersion }: ServerFacts): void {
    if (role !== 'primary' || this.#isBusy) return
    const there = new Map(slots.map(slot => [slot.name, slot]))
    for (const slot of wanted) {
      const found = there.get(slot.name)
      if (found !== undefined && !isSame(found, slot))
        this.#tell(slot.name, `exists already with another kind, database or plugin: it is left alone`)
    }
    const missing = wanted.filter(({ name }) => !there.has(name))
    if (missing.length === 0) return
    this.#isBusy = true
    void this.#create(missing, serverVersion).finally(() => {
      this.#isBusy = false
    })
  }

  close(): void {
    this.#abort.abort(new Error('closing'))
  }

  async #create(missing: readonly LogicalSlot[], serverVersion: number): Promise<void> {
    const { clock, log } = this.#context
    for (const slot of missing) {
      if (this.#abort.signal.aborted) return
      try {
        const by = Deadline.in(clock, CREATE_MS)
        const create = (signal: AbortSignal) => this.#createOne(slot, serverVersion, by, signal)
        await by.run('creating it', create, this.#abort.signal)
        this.#told.delete(slot.name)
        log.info(`created logical slot ${slot.name} in ${slot.database}`)
      } catch (error) {
        if (!this.#abort.signal.aborted) this.#tell(slot.name, `cannot be created: ${messageOf(error)}`)
      }
    }
  }

  async #createOne(
    { name, database, plugin }: LogicalSlot,
    serverVersion: number,
    by: Deadline,
    signal: AbortSignal,
  ): Promise<void> {
    const target = { ...this.#context.local(PATIENT_SESSION), database }
    const words = [pg.escapeLiteral(name), pg.escapeLiteral(plugin), 'false']
    if (serverVersion >= FAILOVER_SINCE) words.push('false', 'true')
    await withConnection(target, by, async connection => {
      // A session that waits would keep our process alive.
      signal.addEventListener('abort', () => connection.close(), { once: true })
      await connection.query(`SELECT pg_create_logical_replication_slot(${words.join(', ')})`, by)
    })
  }

  #tell(name: string, says: string): void {
    if (this.#told.get(name) === says) return
    this.#told.set(name, says)
    this.#context.log.warning(`logical slot ${name} ${says}`)
  }
}

function isSame(found: ServerFacts['slots'][number], { database, plugin }: LogicalSlot): boolean {
  return !found.isPhysical && found.database === database && found.plugin === plugin
}
