// `list` and `topology`: prints the members once, or again and again.

import { isObject, type Json } from '../cluster/json.ts'
import { isStandbyCluster, scheduledSwitchover } from '../cluster/summary.ts'
import type { ClusterView } from '../cluster/view.ts'
import { readBoolean } from '../config/agent/units.ts'
import { plainTimestamp } from '../platform/log.ts'
import { colourTables } from './colour.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { type Format, printPlain, printPretty } from './formats.ts'
import { memberTable, topologyTable } from './members.ts'
import type { Terminal } from './terminal.ts'

export interface ListOptions {
  readonly format: Format
  readonly extended: boolean
  readonly timestamp: boolean
  readonly topology: boolean
  /** Print again every so often until interrupted; undefined: once. */
  readonly everySeconds: number | undefined
}

/** Prints the members of the named clusters (default: the configured one). */
export async function list(
  context: CtlContext,
  names: readonly string[],
  options: ListOptions,
): Promise<void> {
  const scopes = names.length > 0 ? names : [scopeOf(context, undefined)]
  const { clock, terminal, signal } = context
  for (;;) {
    const clusters: [string, ClusterView][] = []
    for (const scope of scopes) clusters.push([scope, await readCluster(context, scope)])
    if (options.everySeconds !== undefined) terminal.clear()
    if (options.timestamp) terminal.print(`${plainTimestamp(clock.wallMs()).slice(0, 19)}\n`)
    printTables(terminal, printClusters(clusters, options))
    if (options.everySeconds === undefined) return
    const isOver = await clock.sleep(options.everySeconds * 1000, signal).then(
      () => false,
      () => true,
    )
    if (isOver) return
  }
}

/** The table of one cluster, as it stands before and after a change. */
export function printMembers({ terminal }: CtlContext, scope: string, view: ClusterView): void {
  const options = { format: 'pretty', extended: false, timestamp: false, topology: false } as const
  printTables(terminal, printClusters([[scope, view]], { ...options, everySeconds: undefined }))
}

/** Coloured on a screen, unless NO_COLOR is set. */
function printTables(terminal: Terminal, text: string): void {
  terminal.print(terminal.hasColours ? colourTables(text) : text)
}

/** All clusters in one format. Pure. */
export function printClusters(
  clusters: readonly (readonly [string, ClusterView])[],
  { format, extended, topology }: ListOptions,
): string {
  if (format !== 'pretty') {
    return printPlain(
      format,
      clusters.map(([scope, view]) => [scope, memberTable(view, extended)]),
    )
  }
  return clusters
    .map(([scope, view]) => {
      const table = topology ? topologyTable(view) : memberTable(view, extended)
      return printPretty(table, titleOf(scope, view), topology) + notes(view)
    })
    .join('')
}

function titleOf(scope: string, view: ClusterView): string {
  const systemId = view.initialize?.value
  const shown = systemId === undefined ? 'uninitialized' : systemId === '' ? 'initializing' : systemId
  return ` Cluster: ${scope} (${shown}) `
}

/** How far a member's copy is, by its own key; undefined when it makes none. */
function copyingText(clone: Json | undefined): string | undefined {
  if (!isObject(clone) || typeof clone['done_bytes'] !== 'number') return undefined
  const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MB`
  const { done_bytes: done, total_bytes: total, percent } = clone
  if (typeof total !== 'number' || typeof percent !== 'number') return megabytes(done)
  return `${percent} %, ${megabytes(done)} of ${megabytes(total)}`
}

/** What concerns the whole cluster, below its table. */
function notes(view: ClusterView): string {
  const lines: string[] = []
  const config = view.config?.value ?? {}
  if (isStandbyCluster(config)) lines.push(` Standby cluster of: ${sourceText(config['standby_cluster'])}`)
  if (readBoolean(config['pause']) === true) lines.push(' Maintenance mode: on')
  for (const { name, pgherd } of view.members.values()) {
    const copying = copyingText(pgherd?.['clone'])
    if (copying !== undefined) lines.push(` ${name} is being copied: ${copying}`)
  }
  const scheduled = scheduledSwitchover(view)
  if (scheduled !== undefined) {
    lines.push(` Switchover scheduled at: ${scheduled.at}`)
    if (scheduled.from !== undefined) lines.push(`${'from'.padStart(24)}: ${scheduled.from}`)
    if (scheduled.to !== undefined) lines.push(`${'to'.padStart(24)}: ${scheduled.to}`)
  }
  return lines.map(line => `${line}\n`).join('')
}

/** The hosts as they are written, or the archive. */
function sourceText(section: Json | undefined): string {
  if (!isObject(section)) return ''
  const { host, port } = section
  if (host === undefined || host === null || host === '') return 'an archive'
  return port === undefined || port === null ? String(host) : `${String(host)}, port ${String(port)}`
}
