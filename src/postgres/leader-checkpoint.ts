// Waits until the leader's control file shows its timeline, without which pg_rewind would compare with the old one.

import type { HostPort } from '../cluster/member.ts'
import { Deadline, DeadlineError } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { Connection, PATIENT_SESSION, type Target } from './connection.ts'
import type { Context } from './context.ts'
import { leaderLineage } from './divergence.ts'
import { connectionTrouble } from './mistakes.ts'
import type { Upstream } from './port.ts'
import { located } from './upstream.ts'

const CHECKPOINT_MS = 600_000
const LOOK_AGAIN_MS = 500
const LINEAGE_MS = 10_000
/** For one look. A host that is gone answers nothing, and our own server is down meanwhile. */
const ANSWER_MS = 5_000

/**
 * pg_rewind reads the leader's timeline from its control file, which shows a new one only after the first checkpoint: before it
 * pg_rewind would find nothing to do and say so with success. A leader makes one after its promotion by itself; one that is
 * asked for comes at once, but only a superuser may ask, and many let none in from other hosts. A leader that does not answer
 * is looked at once more, by a new connection; rejects when there is none to be had.
 */
export async function untilCheckpointed(
  context: Context,
  leader: Upstream,
  signal: AbortSignal,
): Promise<number> {
  const { clock, config, log } = context
  const by = Deadline.in(clock, CHECKPOINT_MS)
  const found = await located(context, leader, by.within(LINEAGE_MS))
  const { timeline } = await leaderLineage(context, found, by.within(LINEAGE_MS))
  const target = context.remote(found.address, config.postgres.rewind, false)
  let connection = await openedTo(context, target, by)
  const isShown = async () => {
    if (!connection.isOpen) connection = await openedTo(context, target, by)
    return await showsTimeline(connection, timeline, by)
  }
  const ended = new AbortController()
  try {
    if (await isShown()) return timeline
    orderCheckpoint(context, found.address, by, ended.signal).catch(error => {
      if (ended.signal.aborted) return
      log.info(
        `waiting for the checkpoint of ${leader.member} before the rewind; it takes no order: ${messageOf(error)}`,
      )
    })
    while (!(await isShown())) await clock.sleep(LOOK_AGAIN_MS, signal)
    return timeline
  } finally {
    ended.abort()
    connection.close()
  }
}

async function openedTo({ config }: Context, target: Target, by: Deadline): Promise<Connection> {
  try {
    return await Connection.open(target, by.within(ANSWER_MS))
  } catch (error) {
    throw new HaError('E_LEADER', connectionTrouble(error, target, 'rewind', config.file), {
      retryable: true,
    })
  }
}

/** False also when no answer came in time; the connection is closed then. */
async function showsTimeline(connection: Connection, timeline: number, by: Deadline): Promise<boolean> {
  try {
    const sql = 'SELECT timeline_id FROM pg_control_checkpoint()'
    const [row] = await connection.query(sql, by.within(ANSWER_MS))
    return Number(row?.['timeline_id']) >= timeline
  } catch (error) {
    if (error instanceof DeadlineError && !by.isOver()) return false
    throw error
  }
}

/** Takes as long as the checkpoint does, or until `ended`. */
async function orderCheckpoint(
  context: Context,
  address: HostPort,
  by: Deadline,
  ended: AbortSignal,
): Promise<void> {
  const asSuperuser = context.remote(address, context.config.postgres.superuser, false)
  const connection = await Connection.open({ ...asSuperuser, session: PATIENT_SESSION }, by.within(ANSWER_MS))
  const close = () => connection.close()
  ended.addEventListener('abort', close, { once: true })
  try {
    if (!ended.aborted) await connection.query('CHECKPOINT', by)
  } finally {
    ended.removeEventListener('abort', close)
    close()
  }
}
