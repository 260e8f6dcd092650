// `proxy`: the proxies that registered themselves, and the virtual IPs with owner and candidates, as etcd has them.

import { asInteger, asText, isObject, type JsonObject, parseJsonObject } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { type Format, printObjects } from './formats.ts'
import { proxiesOf } from './proxies.ts'
import { printTable } from './table.ts'

/** Prints both tables, or with another format one object each with a member `kind`. */
export async function proxies(context: CtlContext, name: string | undefined, format: Format): Promise<void> {
  const scope = scopeOf(context, name)
  const view = await readCluster(context, scope)
  const found = (await proxiesOf(context, view)).map(proxyRow)
  const vips = vipRows(view)
  const { terminal } = context
  if (format === 'json' || format === 'yaml' || format === 'yml') {
    terminal.print(printObjects(format, [...found, ...vips]))
    return
  }
  if (format === 'tsv') {
    const rows = [...found, ...vips].map(row => Object.values(row).map(value => `${value ?? ''}`))
    terminal.print(rows.map(cells => `${cells.join('\t')}\n`).join(''))
    return
  }
  terminal.print(table(` Proxies of ${scope} `, ['name', 'status', 'leader', 'sessions', 'held'], found))
  if (vips.length > 0) terminal.print(table(' Virtual IPs ', ['name', 'owner', 'candidates'], vips))
}

function proxyRow({ name, admin, status }: Awaited<ReturnType<typeof proxiesOf>>[number]): JsonObject {
  const write = status?.['write']
  const listeners = status?.['listeners']
  const count = (key: string) =>
    Array.isArray(listeners)
      ? listeners.reduce<number>((sum, one) => sum + (isObject(one) ? (asInteger(one[key]) ?? 0) : 0), 0)
      : null
  return {
    kind: 'proxy',
    name,
    status: status === undefined ? `no answer at ${admin}` : admin,
    leader: isObject(write) ? (asText(write['member']) ?? null) : null,
    sessions: count('sessions'),
    held: count('held'),
  }
}

/** A virtual IP without owner has candidates only; one without candidates is not known. */
function vipRows({ own }: ClusterView): readonly JsonObject[] {
  const vips = new Map<string, { owner: string | null; readonly candidates: string[] }>()
  for (const [key, { value }] of own) {
    const match = /^vip\/([^/]+)(?:\/(.+))?$/.exec(key)
    if (match === null) continue
    const [, vip = '', id] = match
    const row = vips.get(vip) ?? { owner: null, candidates: [] }
    vips.set(vip, row)
    const { name, priority, impaired } = parseJsonObject(value) ?? {}
    if (id === undefined) row.owner = asText(name) ?? 'unknown'
    else
      row.candidates.push(`${asText(name)} (${asInteger(priority)}${impaired === true ? ', impaired' : ''})`)
  }
  return [...vips]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, { owner, candidates }]) => ({
      kind: 'vip',
      name,
      owner,
      candidates: candidates.sort().join(', '),
    }))
}

function table(title: string, keys: readonly string[], rows: readonly JsonObject[]): string {
  const columns = keys.map(key => ({
    title: `${key[0]?.toUpperCase()}${key.slice(1)}`,
    align: 'left' as const,
  }))
  const cells = rows.map(row => keys.map(key => `${row[key] ?? ''}`))
  return printTable(columns, cells, { title })
}
