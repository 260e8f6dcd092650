// `proxy sessions`, `pools`, `evidence` and `explain`: what every proxy of a cluster knows and does at this instant, by its
// own word on its status port.

import { asInteger, asText, isObject, type Json, type JsonObject, parseJsonObject } from '../cluster/json.ts'
import { UserError } from '../platform/errors.ts'
import { type CtlContext, type RestAnswer, readCluster, scopeOf } from './context.ts'
import { type Format, printObjects } from './formats.ts'
import { askProxy, type KnownProxy, registeredIn } from './proxies.ts'
import { type Column, printTable } from './table.ts'

/** Which proxies are asked. */
export interface ProxyChoice {
  /** Default: the configured scope. */
  readonly cluster: string | undefined
  /** Only the proxy of this name. */
  readonly proxy: string | undefined
  /** The status port of one proxy, as `host:port`; then the store is not asked. */
  readonly at: string | undefined
}

/** One column: which field of a row, and how it is headed. */
type ColumnOf = readonly [key: string, title: string, align?: Column['align']]

const SESSION_COLUMNS: readonly ColumnOf[] = [
  ['proxy', 'Proxy'],
  ['id', 'Id', 'right'],
  ['listener', 'Listener'],
  ['source', 'Client'],
  ['server', 'Server'],
  ['state', 'State'],
  ['quiet_s', 'Quiet s', 'right'],
  ['to_server_bytes', 'To server', 'right'],
  ['to_client_bytes', 'To client', 'right'],
]
const POOL_COLUMNS: readonly ColumnOf[] = [
  ['proxy', 'Proxy'],
  ['listener', 'Listener'],
  ['pool', 'Pool'],
  ['balance', 'Balance'],
  ['server', 'Server'],
  ['takes_new', 'Takes new'],
  ['why', 'Why'],
]
const EVIDENCE_COLUMNS: readonly ColumnOf[] = [
  ['proxy', 'Proxy'],
  ['server', 'Server'],
  ['role', 'Role'],
  ['says', 'It says'],
  ['probe_age_s', 'Asked s ago', 'right'],
  ['answers_left_s', 'Leads for s', 'right'],
  ['lease_left_s', 'Lease s', 'right'],
  ['route_left_s', 'Route s', 'right'],
  ['ping', 'Ping'],
  ['lag', 'Lag'],
  ['refusals', 'Refusals', 'right'],
  ['avoid_left_s', 'Avoided s', 'right'],
  ['sessions', 'Sessions', 'right'],
  ['store_silent_s', 'Store silent s', 'right'],
]

/** Prints the live sessions of each proxy; those beyond what a proxy tells at once are counted on standard error. */
export async function proxySessions(context: CtlContext, choice: ProxyChoice, format: Format): Promise<void> {
  const rows: JsonObject[] = []
  for (const [{ name }, told] of await documents(context, choice, 'sessions')) {
    rows.push(...objectsOf(told['sessions']).map(session => sessionRow(name, session)))
    const leftOut = asInteger(told['left_out']) ?? 0
    if (leftOut > 0) context.terminal.warn(`${name} has ${leftOut} more sessions\n`)
  }
  print(context, format, SESSION_COLUMNS, rows)
}

/** Prints each pool with its servers, and why a server takes new sessions or does not. */
export async function proxyPools(context: CtlContext, choice: ProxyChoice, format: Format): Promise<void> {
  const told = await documents(context, choice, 'status')
  const rows = told.flatMap(([{ name }, status]) =>
    objectsOf(status['pools']).flatMap(pool => poolRows(name, pool, asText(status['waiting_because']))),
  )
  print(context, format, POOL_COLUMNS, rows)
}

/** Prints what each proxy knows of each server, and how long each piece of it counts. */
export async function proxyEvidence(context: CtlContext, choice: ProxyChoice, format: Format): Promise<void> {
  const told = await documents(context, choice, 'status')
  const rows = told.flatMap(([{ name }, status]) =>
    objectsOf(status['members']).map(member => evidenceRow(name, status, member)),
  )
  print(context, format, EVIDENCE_COLUMNS, rows)
}

/** Prints, for each proxy, everything that speaks for or against one server. Throws UserError when no proxy knows it. */
export async function proxyExplain(
  context: CtlContext,
  backend: string,
  choice: ProxyChoice,
  format: Format,
): Promise<void> {
  const answers = await ask(context, choice, `explain/${encodeURIComponent(backend)}`)
  const known = answers.filter(([, { code }]) => code === 200)
  const unknown = answers.find(([, { code }]) => code === 404)
  if (known.length === 0 && unknown !== undefined) throw new UserError(unknown[1].text.trim())
  const rows = known.map(([{ name }, { text }]) => ({ proxy: name, backend, says: text.trim().split('\n') }))
  if (format === 'json' || format === 'yaml' || format === 'yml') {
    context.terminal.print(printObjects(format, rows))
    return
  }
  const line = (name: string, says: string) =>
    format === 'tsv' ? `${name}\t${backend}\t${says}\n` : `${name}: ${says}\n`
  for (const { proxy, says } of rows) context.terminal.print(says.map(one => line(proxy, one)).join(''))
}

/** What the proxies answered that could be read; the others are named on standard error. */
async function documents(
  context: CtlContext,
  choice: ProxyChoice,
  endpoint: string,
): Promise<readonly (readonly [KnownProxy, JsonObject])[]> {
  const answers = await ask(context, choice, endpoint)
  return answers.flatMap(([proxy, { code, text }]) => {
    const document = code === 200 ? parseJsonObject(text) : undefined
    return document === undefined ? [] : [[proxy, document] as const]
  })
}

/** Asks all that are chosen at once. A silent one is told and counts as a refusal; throws when there is nobody to ask. */
async function ask(
  context: CtlContext,
  choice: ProxyChoice,
  endpoint: string,
): Promise<readonly (readonly [KnownProxy, RestAnswer])[]> {
  const proxies = await chosen(context, choice)
  const answers = await Promise.all(
    proxies.map(async proxy => [proxy, await askProxy(context, proxy, endpoint)] as const),
  )
  for (const [{ name, admin }, { code, text }] of answers) {
    if (code === 200 || (code === 404 && endpoint.startsWith('explain/'))) continue
    const why = code === 0 ? text : `status code ${code}`
    context.terminal.warn(`${name} does not answer at ${admin}: ${why}\n`)
    context.noteRefusal()
  }
  return answers
}

async function chosen(
  context: CtlContext,
  { cluster, proxy, at }: ProxyChoice,
): Promise<readonly KnownProxy[]> {
  if (at !== undefined) return [{ name: proxy ?? at, admin: at }]
  const scope = scopeOf(context, cluster)
  const all = registeredIn(await readCluster(context, scope))
  const found = all.filter(({ name }) => proxy === undefined || name === proxy)
  if (found.length > 0) return found
  const there = all.length === 0 ? 'none is registered' : `there is ${all.map(({ name }) => name).join(', ')}`
  throw new UserError(
    proxy === undefined
      ? `no proxy is registered for ${scope}: one without etcd is asked by --at HOST:PORT`
      : `no proxy of ${scope} has the name ${proxy}: ${there}`,
  )
}

function sessionRow(proxy: string, session: JsonObject): JsonObject {
  const { quiet_ms: quietMs, ...rest } = session
  return { kind: 'session', proxy, ...rest, quiet_s: seconds(quietMs) }
}

/** A pool of reads has a reason for each server; the leader's pool has one server or a reason for having none. */
function poolRows(proxy: string, told: JsonObject, waiting: string | undefined): readonly JsonObject[] {
  const { listener = null, pool = null, balance = null } = told
  const members = Array.isArray(told['members']) ? told['members'].map(String) : []
  const why = isObject(told['why']) ? told['why'] : undefined
  const shared = { kind: 'pool', proxy, listener, pool, balance }
  const row = (server: string | null, says: Json) => ({
    ...shared,
    server,
    takes_new: server !== null && members.includes(server),
    why: says,
  })
  if (why !== undefined) return Object.entries(why).map(([server, says]) => row(server, says))
  if (members.length === 0) return [row(null, waiting ?? null)]
  return members.map(server => row(server, 'leads'))
}

function evidenceRow(proxy: string, status: JsonObject, member: JsonObject): JsonObject {
  const name = asText(member['name']) ?? ''
  const epoch = isObject(status['epoch']) ? status['epoch'] : {}
  const write = isObject(status['write']) ? status['write'] : {}
  const store = isObject(status['store']) ? status['store'] : {}
  const holds = epoch['member'] === name && status['has_leader_key'] === true
  return {
    kind: 'evidence',
    proxy,
    server: name,
    role: member['role'] ?? null,
    says: saysOf(member),
    probe_age_s: seconds(member['probe_age_ms']),
    answers_left_s: seconds(member['leads_left_ms']),
    lease_left_s: holds ? seconds(status['lease_left_ms']) : null,
    route_left_s: write['member'] === name ? seconds(write['evidence_left_ms']) : null,
    ping: pingOf(member['ping']),
    lag: lagOf(member['lag']),
    refusals: member['refusals'] ?? null,
    avoid_left_s: seconds(member['avoid_left_ms']),
    sessions: member['sessions'] ?? null,
    store_silent_s: seconds(store['silent_ms']),
  }
}

function saysOf({ server_role: role, state, silence }: JsonObject): string {
  if (typeof silence === 'string') return `silent: ${silence}`
  if (typeof role !== 'string') return 'not asked yet'
  return `${role}, ${typeof state === 'string' ? state : 'state not told'}`
}

function pingOf(ping: Json | undefined): string | null {
  if (!isObject(ping)) return null
  return `${asText(ping['answer']) ?? 'none'} ${seconds(ping['age_ms']) ?? '?'} s ago`
}

function lagOf(lag: Json | undefined): string | null {
  if (!isObject(lag)) return null
  return `${asInteger(lag['bytes']) ?? '?'} bytes, ${seconds(lag['ms']) ?? '?'} s`
}

/** `0.4`, as a number; null when it is not told or without an end. */
function seconds(ms: Json | undefined): number | null {
  return typeof ms === 'number' ? Math.round(ms / 100) / 10 : null
}

function objectsOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function print(
  { terminal }: CtlContext,
  format: Format,
  columns: readonly ColumnOf[],
  rows: readonly JsonObject[],
): void {
  if (format === 'json' || format === 'yaml' || format === 'yml') {
    terminal.print(printObjects(format, rows.map(withoutEmpty)))
    return
  }
  const cells = rows.map(row => columns.map(([key]) => cellOf(row[key])))
  if (format === 'tsv') {
    const heading = columns.map(([, title]) => title)
    terminal.print([heading, ...cells].map(line => `${line.join('\t')}\n`).join(''))
    return
  }
  const shown: readonly Column[] = columns.map(([, title, align = 'left']) => ({ title, align }))
  terminal.print(printTable(shown, cells))
}

function withoutEmpty(row: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null))
}

function cellOf(value: Json | undefined): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
}
