// The rows of `list` and `topology`: from the cluster's keys to columns with values of their own types. Pure.

import { asText, isObject, type Json, type JsonObject } from '../cluster/json.ts'
import { formatLsn } from '../cluster/lsn.ts'
import { type Distance, type MemberSummary, type SummaryRole, summarize } from '../cluster/summary.ts'
import type { ClusterView } from '../cluster/view.ts'

/** One column: its title in tables, its key in tsv, json and yaml. */
export interface Field {
  readonly title: string
  readonly key: string
  readonly align: 'left' | 'right'
}

export interface MemberTable {
  readonly fields: readonly Field[]
  /** By field key; a value that is missing is left out of json and yaml and empty elsewhere. */
  readonly rows: readonly JsonObject[]
}

const left = (title: string): Field => ({ title, key: title, align: 'left' })
const right = (title: string, key = title): Field => ({ title, key, align: 'right' })

const FIELDS: readonly Field[] = [
  ...['Member', 'Host', 'Role', 'State'].map(left),
  right('TL'),
  right('Receive LSN'),
  right('Lag', 'Receive Lag'),
  right('Replay LSN'),
  right('Lag', 'Replay Lag'),
]
const EXTRA_FIELDS: readonly Field[] = [
  'Pending restart',
  'Pending restart reason',
  'Scheduled restart',
  'Tags',
].map(left)

const ROLES: Readonly<Record<SummaryRole, string>> = {
  leader: 'Leader',
  standby_leader: 'Standby Leader',
  sync_standby: 'Sync Standby',
  quorum_standby: 'Quorum Standby',
  replica: 'Replica',
}

const POSTGRES_PORT = 5432
const REASON_CHARS_MAX = 50
const MEBIBYTE = 1024 * 1024

/** The members sorted by name; `extended` shows the extra columns even when nobody has a value for them. */
export function memberTable(view: ClusterView, extended: boolean): MemberTable {
  return tableOf(summarize(view), extended)
}

/** The members from the leader down; those that replicate from another one stand below it. */
export function topologyTable(view: ClusterView): MemberTable {
  const { ordered, depths } = topologyOrder(summarize(view))
  const table = tableOf(ordered, false)
  const rows = table.rows.map(row => {
    const name = asText(row['Member']) ?? ''
    const depth = depths.get(name) ?? 0
    return depth === 0 ? row : { ...row, Member: `${'  '.repeat(depth - 1)}+ ${name}` }
  })
  return { ...table, rows }
}

function tableOf(members: readonly MemberSummary[], extended: boolean): MemberTable {
  const withPort = needsPort(members)
  const rows = members.map(member => memberRow(member, withPort))
  const extra = EXTRA_FIELDS.filter(({ key }) => extended || rows.some(row => row[key] !== undefined))
  return { fields: [...FIELDS, ...extra], rows }
}

/** Ports are shown as soon as one is unusual or two members share a host. */
function needsPort(members: readonly MemberSummary[]): boolean {
  const hosts = members.map(({ host }) => host).filter(host => host !== undefined)
  const isShared = new Set(hosts).size !== hosts.length
  return isShared || members.some(({ port }) => port !== undefined && port !== POSTGRES_PORT)
}

function memberRow(row: MemberSummary, withPort: boolean): JsonObject {
  const { received, replayed } = positionsOf(row)
  const fields: Record<string, Json | undefined> = {
    Member: row.name,
    Host: hostText(row, withPort),
    Role: ROLES[row.role],
    State: row.state,
    TL: row.timeline,
    ...distanceFields('Receive', received),
    ...distanceFields('Replay', replayed),
    ...extraFields(row),
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as JsonObject
}

function hostText({ host, port }: MemberSummary, withPort: boolean): string | undefined {
  if (host === undefined) return undefined
  return withPort && port !== undefined ? `${host}:${port}` : host
}

/** Older agents give one position: what it says depends on whether they stream. */
function positionsOf(row: MemberSummary): { readonly received?: Distance; readonly replayed?: Distance } {
  if (row.role === 'leader' || row.role === 'standby_leader') return {}
  const { received, replayed, position } = row
  if (received.lsn !== undefined || replayed.lsn !== undefined || position.lsn === undefined)
    return { received, replayed }
  const none: Distance = { lsn: undefined, lagBytes: undefined }
  return row.state === 'streaming'
    ? { received: position, replayed: none }
    : { received: none, replayed: position }
}

function distanceFields(
  name: string,
  distance: Distance | undefined,
): Readonly<Record<string, Json | undefined>> {
  if (distance === undefined) return {}
  const { lsn, lagBytes } = distance
  if (lsn === undefined || lagBytes === undefined) return { [`${name} LSN`]: 'unknown' }
  return { [`${name} LSN`]: formatLsn(lsn), [`${name} Lag`]: Math.round(Number(lagBytes) / MEBIBYTE) }
}

function extraFields({ member }: MemberSummary): Readonly<Record<string, Json | undefined>> {
  const scheduled = member.raw['scheduled_restart']
  return {
    'Pending restart': member.pendingRestart ? '*' : undefined,
    'Pending restart reason': reasonText(member.raw['pending_restart_reason']),
    'Scheduled restart': isObject(scheduled) ? scheduleText(scheduled) : undefined,
    Tags: Object.keys(member.tags).length > 0 ? member.tags : undefined,
  }
}

function reasonText(reason: Json | undefined): string | undefined {
  if (!isObject(reason)) return undefined
  const lines = Object.entries(reason).map(([name, change]) => {
    const { old_value: before, new_value: after } = isObject(change) ? change : {}
    const line = `${name}: ${plainText(before)}->${plainText(after)}`
    return line.length > REASON_CHARS_MAX ? `${name}: [hidden - too long]` : line
  })
  return lines.length > 0 ? lines.join('\n') : undefined
}

function scheduleText(scheduled: JsonObject): string {
  const version = asText(scheduled['postgres_version'])
  return `${asText(scheduled['schedule']) ?? ''}${version === undefined ? '' : ` if version < ${version}`}`
}

function plainText(value: Json | undefined): string {
  return value === undefined || value === null ? '' : String(value)
}

function topologyOrder(members: readonly MemberSummary[]): {
  readonly ordered: readonly MemberSummary[]
  readonly depths: ReadonlyMap<string, number>
} {
  const leader = members.find(({ role }) => role === 'leader' || role === 'standby_leader')
  const names = new Set(members.map(({ name }) => name))
  const parentOf = ({ name, member }: MemberSummary): string | undefined => {
    const wanted = asText(member.tags['replicatefrom'])
    if (name === leader?.name) return undefined
    return wanted !== undefined && wanted !== name && names.has(wanted) ? wanted : leader?.name
  }
  const ordered: MemberSummary[] = []
  const depths = new Map<string, number>()
  const place = (member: MemberSummary, depth: number): void => {
    if (depths.has(member.name)) return
    depths.set(member.name, depth)
    ordered.push(member)
    for (const child of members) if (parentOf(child) === member.name) place(child, depth + 1)
  }
  if (leader !== undefined) place(leader, 0)
  for (const member of members) if (parentOf(member) === undefined) place(member, 0)
  // Members that replicate from each other in a ring have no root: they are shown all the same.
  for (const member of members) place(member, 0)
  return { ordered, depths }
}
