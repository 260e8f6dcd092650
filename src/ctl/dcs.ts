// `dcs`: the store as it is just now: who answers and how fast, and how long the leases of leader and members still run.

import type { JsonObject } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { EndpointReport, StoreReport } from '../dcs/report.ts'
import { Deadline } from '../platform/deadline.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { cellText, type Format, printObjects } from './formats.ts'
import { type Column, printTable } from './table.ts'

const INSPECT_MS = 3_000
const READ_MS = 5_000

const ENDPOINT_COLUMNS: readonly Column[] = [
  { title: 'Endpoint', align: 'left' },
  { title: 'Known from', align: 'left' },
  { title: 'Health', align: 'left' },
  { title: 'Raft', align: 'left' },
  { title: 'Term', align: 'right' },
  { title: 'Revision', align: 'right' },
  { title: 'Size MiB', align: 'right' },
  { title: 'Read ms', align: 'right' },
  { title: 'Version', align: 'left' },
]
const LEASE_COLUMNS: readonly Column[] = [
  { title: 'Key', align: 'left' },
  { title: 'Lease', align: 'left' },
  { title: 'TTL s', align: 'right' },
  { title: 'Left s', align: 'right' },
]

/** What this command needs besides: a look at every endpoint. */
export interface StoreContext extends CtlContext {
  readonly inspectStore: (scope: string, by: Deadline) => Promise<StoreReport>
}

/** A lease that carries keys of the cluster. */
export interface LeaseRow {
  readonly key: string
  readonly leaseId: bigint
  /** Undefined when etcd did not say. */
  readonly grantedSeconds: number | undefined
  readonly leftSeconds: number | undefined
}

/** Prints both tables, or one object for programs. Throws UserError when no endpoint answers. */
export async function dcs(context: StoreContext, name: string | undefined, format: Format): Promise<void> {
  const scope = scopeOf(context, name)
  const { endpoints } = await context.inspectStore(scope, Deadline.in(context.clock, INSPECT_MS))
  const view = await readCluster(context, scope).catch((error: unknown) => error)
  const leases = view instanceof Error ? [] : await readLeases(context, scope, view as ClusterView)
  context.terminal.print(printStore(scope, endpoints, leases, format))
  if (view instanceof Error) throw new UserError(messageOf(view))
}

async function readLeases(
  context: CtlContext,
  scope: string,
  view: ClusterView,
): Promise<readonly LeaseRow[]> {
  const keys: (readonly [string, bigint])[] = [...view.members.values()].map(({ name, leaseId }) => [
    `members/${name}`,
    leaseId,
  ])
  if (view.leader !== undefined) keys.unshift([`leader (${view.leader.name})`, view.leader.leaseId])
  for (const [key, { leaseId }] of view.own) if (leaseId !== 0n) keys.push([`pgherd/${key}`, leaseId])
  const store = context.openDcs(scope)
  return Promise.all(
    keys.map(async ([key, leaseId]) => {
      const left =
        leaseId === 0n
          ? undefined
          : await store.leaseLeft(leaseId, Deadline.in(context.clock, READ_MS)).catch(() => undefined)
      return { key, leaseId, grantedSeconds: left?.grantedSeconds, leftSeconds: left?.leftSeconds }
    }),
  )
}

/** The output in one format. Pure. */
export function printStore(
  scope: string,
  endpoints: readonly EndpointReport[],
  leases: readonly LeaseRow[],
  format: Format,
): string {
  if (format === 'json' || format === 'yaml' || format === 'yml') {
    return printObjects(format, {
      Cluster: scope,
      Endpoints: endpoints.map(endpointObject),
      Leases: leases.map(leaseObject),
    })
  }
  const endpointRows = endpoints.map(row => texts(Object.values(endpointObject(row))))
  const leaseRows = leases.map(row => texts(Object.values(leaseObject(row))))
  if (format === 'tsv') return printTsv(ENDPOINT_COLUMNS, endpointRows) + printTsv(LEASE_COLUMNS, leaseRows)
  const clusters = new Set(endpoints.flatMap(({ clusterId }) => clusterId ?? []))
  const title = ` Store of ${scope}: etcd cluster ${[...clusters].join(' AND ') || 'unknown'} `
  return printTable(ENDPOINT_COLUMNS, endpointRows, { title }) + printTable(LEASE_COLUMNS, leaseRows)
}

function endpointObject(row: EndpointReport): JsonObject {
  const { fault, isLearned, isPreferred, isRaftLeader, raftTerm, revision, dbBytes, readMs } = row
  const health = fault ?? (isPreferred ? 'answers, in use' : 'answers')
  return {
    Endpoint: row.endpoint,
    'Known from': isLearned ? 'member list' : 'configuration',
    Health: health,
    Raft: row.version === undefined ? null : isRaftLeader ? 'leader' : 'follower',
    Term: raftTerm?.toString() ?? null,
    Revision: revision?.toString() ?? null,
    'Size MiB': dbBytes === undefined ? null : (Number(dbBytes) / 1024 / 1024).toFixed(1),
    'Read ms': readMs === undefined ? null : readMs.toFixed(1),
    Version: row.version ?? null,
  }
}

function leaseObject({ key, leaseId, grantedSeconds, leftSeconds }: LeaseRow): JsonObject {
  return {
    Key: key,
    Lease: leaseId === 0n ? 'none' : leaseId.toString(16),
    'TTL s': grantedSeconds ?? null,
    'Left s': leftSeconds ?? null,
  }
}

function texts(values: readonly (JsonObject[string] | undefined)[]): readonly string[] {
  return values.map(value => cellText(value, true))
}

function printTsv(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  return [columns.map(({ title }) => title), ...rows].map(row => `${row.join('\t')}\n`).join('')
}
