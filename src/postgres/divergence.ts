// Compared with the leader, where does our history stand? Asks the leader over a replication connection, and our own
// server, control file and WAL for our side. Changes nothing.

import { type HistoryLine, parseHistoryFile } from '../cluster/history.ts'
import type { Lsn, Timeline } from '../cluster/lsn.ts'
import type { Deadline } from '../platform/deadline.ts'
import { HaError, messageOf } from '../platform/errors.ts'
import { type Connection, sqlStateOf, type Target, withConnection } from './connection.ts'
import { isTlsMistake } from './connection-tls.ts'
import type { Context } from './context.ts'
import type { ControlFile } from './control-data.ts'
import { type Fork, forkPoint, type Lineage } from './fork-point.ts'
import type { Lifecycle } from './lifecycle.ts'
import { connectionTrouble, isConnectionMistake } from './mistakes.ts'
import type { Divergence, Upstream } from './port.ts'
import { otherBeginning } from './timeline-start.ts'
import { located } from './upstream.ts'
import { endOfCheckpoint, endOfRecord, recordAfter } from './wal-records.ts'

/** Our own end. `control` is undefined while the server runs. */
interface LocalEnd {
  readonly systemId: string
  readonly timeline: Timeline
  readonly lsn: Lsn
  readonly control: ControlFile | undefined
}

interface LeaderLineage extends Lineage {
  readonly systemId: string
}

/** As Postgres.divergence: `unknown` whenever a question was not answered. Never rejects. */
export async function divergence(
  context: Context,
  lifecycle: Lifecycle,
  upstream: Upstream,
  by: Deadline,
): Promise<Divergence> {
  try {
    const leader = await located(context, upstream, by)
    const theirs = await leaderLineage(context, leader, by)
    const ours = await localEnd(context, lifecycle, by)
    if (ours.systemId !== theirs.systemId) {
      throw new HaError(
        'E_SYSTEM_ID',
        `${leader.member} is another cluster (system identifier ${theirs.systemId}, ours ${ours.systemId})`,
      )
    }
    const lineage = { timeline: ours.timeline, history: await localHistory(context, ours.timeline, by) }
    const fork = forkPoint(lineage, theirs)
    // The leader has, or had, a timeline of our number: it may be another one all the same.
    if (fork === undefined || fork.timeline === ours.timeline) {
      const parted = await otherBeginning(context, lifecycle, leader, lineage, by)
      if (parted !== undefined) return diverged({ timeline: ours.timeline, lsn: parted }, ours.lsn)
    }
    return fork === undefined ? { kind: 'none' } : await compare(context, lifecycle, ours, fork, by)
  } catch (error) {
    const isLeaderInRecovery = error instanceof HaError && error.code === 'E_NOT_PRIMARY'
    return { kind: 'unknown', why: messageOf(error), isLeaderInRecovery, isLasting: isLasting(error) }
  }
}

/** A login that is refused, a database that is not there, a function that the rewind role may not call. */
const REFUSED = /^(28...|3D000|42501)$/
/** TIMELINE_HISTORY: the server has no such file. */
const FILE_MISSING = '58P01'

/** Would the same question fail the same way, until somebody mends a login, a right or a file? */
export function isLasting(error: unknown): boolean {
  if (REFUSED.test(sqlStateOf(error) ?? '') || isConnectionMistake(error) || isTlsMistake(error)) return true
  return error instanceof HaError && (error.code === 'E_REFUSED' || error.code === 'E_HISTORY')
}

/**
 * The leader's timeline and its past. Rejects when a member of ours is in recovery: then it is nobody to follow blindly.
 * Another cluster's server may be a standby of its own: what it has replayed is that cluster's history.
 */
export async function leaderLineage(
  context: Context,
  leader: Upstream,
  by: Deadline,
): Promise<LeaderLineage> {
  const { rewind, replication } = context.config.postgres
  const asRewind = context.remote(leader.address, rewind, false)
  const [row] = await ask(asRewind, 'rewind', context, by, connection =>
    connection.query('SELECT pg_is_in_recovery() AS standby', by),
  )
  if (row?.['standby'] !== 'f' && leader.remote === undefined)
    throw new HaError('E_NOT_PRIMARY', `${leader.member} has not left recovery yet`)
  const asReplica = context.remote(leader.address, replication, true)
  return ask(asReplica, 'replication', context, by, async walsender => {
    const [identity] = await walsender.query('IDENTIFY_SYSTEM', by)
    const timeline = Number(identity?.['timeline'])
    const systemId = identity?.['systemid'] ?? ''
    if (!Number.isSafeInteger(timeline)) throw new HaError('E_PROTOCOL', 'IDENTIFY_SYSTEM told no timeline')
    if (timeline === 1) return { systemId, timeline, history: [] }
    return { systemId, timeline, history: await leaderHistory(walsender, leader.member, timeline, by) }
  })
}

async function leaderHistory(
  walsender: Connection,
  member: string,
  timeline: Timeline,
  by: Deadline,
): Promise<readonly HistoryLine[]> {
  try {
    const [file] = await walsender.query(`TIMELINE_HISTORY ${timeline}`, by)
    return parseHistoryFile(historyText(file?.['content']))
  } catch (error) {
    if (sqlStateOf(error) !== FILE_MISSING) throw error
    throw new HaError(
      'E_HISTORY',
      `${member} has no history of its timeline ${timeline}: ${messageOf(error)}`,
    )
  }
}

async function ask<T>(
  target: Target,
  section: string,
  context: Context,
  by: Deadline,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  try {
    return await withConnection(target, by, work)
  } catch (error) {
    if (error instanceof HaError) throw error
    const code = isLasting(error) ? 'E_REFUSED' : 'E_LEADER'
    throw new HaError(code, connectionTrouble(error, target, section, context.config.file), {
      cause: undefined,
    })
  }
}

/** The content is bytes: older servers send them raw, newer clients may show them in hex. */
function historyText(content: string | null | undefined): string {
  if (content === null || content === undefined) return ''
  return content.startsWith('\\x') ? Buffer.from(content.slice(2), 'hex').toString('utf8') : content
}

async function localEnd(context: Context, lifecycle: Lifecycle, by: Deadline): Promise<LocalEnd> {
  const { process } = await lifecycle.look(by)
  if (process === 'running') return runningEnd(context, by)
  const control = await lifecycle.controlFile(by)
  if (control === undefined) throw new HaError('E_STORAGE', 'our own control file cannot be read')
  const { systemId, state } = control
  // A standby that is coming up replays what it has: how far it must get is in its control file, what it has in pg_wal.
  const isReplaying = process === 'starting' && state === 'in archive recovery'
  if (process !== 'stopped' && !isReplaying) throw new HaError('E_BUSY', `our own server is ${process}`)
  const isStandby = state === 'shut down in recovery' || state === 'in archive recovery'
  // Zero once a primary has made its first checkpoint. Before it, the control file's checkpoint is still the old
  // timeline's, and this alone tells that the crashed server had already written on a new one.
  const { minRecoveryEndLsn, minRecoveryEndTimeline } = control
  if (isStandby && minRecoveryEndLsn > 0n && minRecoveryEndTimeline > 0) {
    return { systemId, timeline: minRecoveryEndTimeline, lsn: minRecoveryEndLsn, control }
  }
  const timeline = Math.max(control.timeline, minRecoveryEndTimeline)
  return { systemId, timeline, lsn: later(control.checkpointLsn, minRecoveryEndLsn), control }
}

/**
 * The walsender tells the timeline of the replay; the receiver may already be ahead of it. A standby may cross over to the next
 * timeline between two answers: then the position would lie past the end of the timeline that it was asked for first, and
 * look like WAL of our own. So the timeline must be the same before and after.
 */
async function runningEnd(context: Context, by: Deadline): Promise<LocalEnd> {
  const sql = `SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
    - '0/0'::pg_lsn AS bytes`
  return withConnection(context.localReplication(), by, async walsender => {
    const identify = async () => {
      const [identity] = await walsender.query('IDENTIFY_SYSTEM', by)
      return { systemId: identity?.['systemid'] ?? '', timeline: Number(identity?.['timeline']) }
    }
    for (let before = await identify(); ; ) {
      const [row] = await withConnection(context.local(), by, connection => connection.query(sql, by))
      const after = await identify()
      const bytes = row?.['bytes']
      if (!Number.isSafeInteger(after.timeline) || bytes === undefined || bytes === null)
        throw new HaError('E_PROTOCOL', 'our own server tells no position')
      if (before.timeline === after.timeline) return { ...after, lsn: BigInt(bytes), control: undefined }
      before = after
    }
  })
}

async function localHistory(
  context: Context,
  timeline: Timeline,
  by: Deadline,
): Promise<readonly HistoryLine[]> {
  if (timeline <= 1) return []
  const text = await context.data.read(`pg_wal/${historyFileName(timeline)}`, by)
  if (text === undefined)
    throw new HaError('E_HISTORY', `our own ${historyFileName(timeline)} is missing in pg_wal`)
  return parseHistoryFile(text)
}

/** `00000007.history` */
export function historyFileName(timeline: Timeline): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`
}

/** Have we written anything after the point where the histories part? */
async function compare(
  context: Context,
  lifecycle: Lifecycle,
  ours: LocalEnd,
  fork: Fork,
  by: Deadline,
): Promise<Divergence> {
  const { control } = ours
  if (control?.state === 'shut down') {
    const end = await endOfCheckpoint(context, control, by)
    // A clean end exactly at the switch point is the one way in which a former primary has nothing of its own.
    const isClean = ours.timeline === fork.timeline && end === fork.lsn && ours.lsn < fork.lsn
    return isClean ? { kind: 'none' } : diverged(fork, end)
  }
  if (ours.timeline !== fork.timeline) return diverged(fork, ours.lsn)
  // What was received but not replayed, and what a crashed server wrote, is in no control file but in pg_wal: the next
  // start would replay it.
  const last = await recordAfter(context, fork.timeline, fork.lsn, 'last', by)
  if (last === undefined) return ours.lsn > fork.lsn ? diverged(fork, ours.lsn) : { kind: 'none' }
  const sizes = control ?? (await lifecycle.controlFile(by))
  const end = sizes === undefined ? last.lsn : endOfRecord(last, sizes.blockBytes, sizes.walSegmentBytes)
  return diverged(fork, later(end, ours.lsn))
}

function diverged(fork: Fork, localEnd: Lsn): Divergence {
  return { kind: 'diverged', at: fork.lsn, localEnd: later(localEnd, fork.lsn) }
}

function later(one: Lsn, other: Lsn): Lsn {
  return one > other ? one : other
}
