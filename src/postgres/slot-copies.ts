// Copies of the leader's logical slots on a standby below PostgreSQL 17, which has no way to make them: the slot's state file
// is read from the leader and laid where the server finds it at its next start.

import { formatLsn, type Lsn } from '../cluster/lsn.ts'
import { Deadline, DeadlineError } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { type Row, withConnection } from './connection.ts'
import type { Context } from './context.ts'
import { lsn, slotOfRow } from './facts.ts'
import { intentOf } from './following.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { LogicalSlots } from './logical-slots.ts'
import type { Monitor } from './monitor.ts'
import type { SlotNotCopied, SlotsOnLeader, Upstream } from './port.ts'
import { stopServer } from './shutdown.ts'
import { startServer } from './startup.ts'

const LEADER_MS = 5_000
const FILES_MS = 30_000
const STOP_MS = 60_000
const START_MS = 10_000

/** The parts of one server that a copy needs. */
export interface CopyParts {
  readonly context: Context
  readonly lifecycle: Lifecycle
  readonly monitor: Monitor
  readonly logicalSlots: LogicalSlots
}

const ON_LEADER_SQL = `
SELECT s.*, CASE WHEN s.slot_name = ANY($1::text[]) AND s.slot_type = 'logical'
  THEN encode(pg_read_binary_file('pg_replslot/' || s.slot_name || '/state'), 'hex') END AS state
FROM pg_replication_slots s WHERE NOT pg_is_in_recovery() AND s.slot_name = ANY($2::text[])`

const HERE_SQL = `
SELECT pg_last_wal_replay_lsn()::text AS replayed, current_setting('hot_standby_feedback') AS feedback`

const WITHOUT_STATE_SQL = `
SELECT s.* FROM pg_replication_slots s WHERE NOT pg_is_in_recovery() AND s.slot_name = ANY($1::text[])`

/** As Postgres.slotsOnLeader. */
export async function slotsOnLeader(
  context: Context,
  leader: Upstream,
  names: readonly string[],
  standbySlot: string,
  by: Deadline,
): Promise<SlotsOnLeader> {
  const rows = await askLeader(context, leader, WITHOUT_STATE_SQL, [[...names, standbySlot]], by)
  const slots = rows.map(slotOfRow)
  return {
    logical: new Map(slots.flatMap(slot => (slot.isPhysical ? [] : [[slot.name, slot]]))),
    standbyXmin: slots.find(({ name, isPhysical }) => isPhysical && name === standbySlot)?.catalogXmin,
  }
}

/** As Postgres.copyLogicalSlots. */
export async function copyLogicalSlots(
  parts: CopyParts,
  leader: Upstream,
  upstream: Upstream,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly SlotNotCopied[]> {
  const { context, lifecycle, monitor, logicalSlots } = parts
  const { clock, log } = context
  const by = Deadline.in(clock, LEADER_MS)
  const rows = await askLeader(context, leader, ON_LEADER_SQL, [names, names], by)
  const [here] = await monitor.query(HERE_SQL, by)
  if (here?.['feedback'] !== 'on')
    return names.map(name => ({
      name,
      why: 'hot_standby_feedback is off here: rows that it needs would be removed',
    }))
  const replayed = lsn(here['replayed']) ?? 0n
  const before = await judge(parts, names, rows, replayed)
  if (before.fit.length === 0) return before.unfit
  signal.throwIfAborted()
  await logicalSlots.halt()
  const said = before.fit.map(({ name }) => name).join(', ')
  log.info(`restarting to take over logical slots of (${leader.member}): ${said}`)
  const stop = { mode: 'fast', checkpointFirst: true, by: Deadline.in(clock, STOP_MS) } as const
  const { stopped } = await stopServer(context, lifecycle, stop, undefined)
  monitor.forget()
  if (!stopped) throw new HaError('E_STOP', 'the server does not stop for a copy of logical slots')
  // The last thing that it did may have been to remove WAL.
  const after = await judge(parts, names, rows, replayed)
  for (const { name, state } of after.fit)
    await context.data.placeSlot(name, Buffer.from(state, 'hex'), Deadline.in(clock, FILES_MS))
  await startAgain(context, lifecycle, upstream, signal)
  return after.unfit
}

/** A standby that needs longer goes on by itself: whoever waits for us must be able to point it to another leader meanwhile. */
async function startAgain(
  context: Context,
  lifecycle: Lifecycle,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<void> {
  const intent = intentOf(context, 'replica', upstream)
  const by = Deadline.in(context.clock, START_MS)
  try {
    if (await by.run('start', patience => startServer(context, lifecycle, intent, patience), signal)) return
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
    context.log.warning('the server is still starting after a copy of logical slots')
    return
  }
  throw new HaError('E_START', 'the server did not come up after a copy of logical slots')
}

interface Fit {
  readonly name: string
  readonly state: string
}

/** Which of the slots could be used here: nothing that they need may be missing. */
async function judge(
  { context, lifecycle }: CopyParts,
  names: readonly string[],
  rows: readonly Row[],
  replayed: Lsn,
): Promise<{ readonly fit: readonly Fit[]; readonly unfit: readonly SlotNotCopied[] }> {
  const by = Deadline.in(context.clock, FILES_MS)
  const [control, oldest] = await Promise.all([lifecycle.controlFile(by), context.data.oldestWal(by)])
  const fit: Fit[] = []
  const unfit: SlotNotCopied[] = []
  for (const name of names) {
    const row = rows.find(one => one['slot_name'] === name)
    const why = obstacle(row, replayed, oldest, control?.walSegmentBytes)
    if (why === undefined) fit.push({ name, state: row?.['state'] ?? '' })
    else unfit.push({ name, why })
  }
  return { fit, unfit }
}

/** Why a slot of the leader would be of no use here. `oldest`: the oldest WAL file, as the two last parts of its name. */
export function obstacle(
  row: Row | undefined,
  replayed: Lsn,
  oldest: string | undefined,
  segmentBytes: bigint | undefined,
): string | undefined {
  if (row === undefined) return 'the leader does not have it yet'
  const slot = slotOfRow(row)
  if (slot.isPhysical) return 'the leader has a physical slot of this name'
  if (slot.isLost) return 'it is lost on the leader'
  if (slot.isTemporary) return 'it is temporary on the leader'
  if (slot.restartLsn === undefined || slot.confirmedLsn === undefined || (row['state'] ?? '') === '')
    return 'it is not complete on the leader yet'
  if (slot.confirmedLsn > replayed)
    return `its consumer has all up to ${formatLsn(slot.confirmedLsn)}, this server only up to ${formatLsn(replayed)}`
  if (segmentBytes === undefined || oldest === undefined) return 'the WAL that is here cannot be listed'
  return slot.restartLsn / segmentBytes < segmentNumber(oldest, segmentBytes)
    ? `it needs WAL from ${formatLsn(slot.restartLsn)} on, which is gone here; it is copied when its consumer has moved on`
    : undefined
}

function segmentNumber(name: string, segmentBytes: bigint): bigint {
  const perPart = 0x1_0000_0000n / segmentBytes
  return BigInt(`0x${name.slice(0, 8)}`) * perPart + BigInt(`0x${name.slice(8)}`)
}

async function askLeader(
  context: Context,
  leader: Upstream,
  sql: string,
  lists: readonly (readonly string[])[],
  by: Deadline,
): Promise<readonly Row[]> {
  const target = context.remote(leader.address, context.config.postgres.rewind, false)
  const values = lists.map(names => `{${names.map(name => `"${name}"`).join(',')}}`)
  return await withConnection(target, by, connection => connection.query(sql, by, values))
}
