// `history` and `show-config`: what the cluster went through, and its own configuration.

import type { HistoryLine } from '../cluster/history.ts'
import type { Json } from '../cluster/json.ts'
import { UserError } from '../platform/errors.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { type Format, printObjects } from './formats.ts'
import { type Column, printTable } from './table.ts'
import { printYaml } from './yaml-text.ts'

const COLUMNS: readonly Column[] = [
  { title: 'TL', align: 'right' },
  { title: 'LSN', align: 'right' },
  { title: 'Reason', align: 'left' },
  { title: 'Timestamp', align: 'left' },
  { title: 'New Leader', align: 'left' },
]

/** Prints one row for each switch of timelines. */
export async function history(context: CtlContext, name: string | undefined, format: Format): Promise<void> {
  const view = await readCluster(context, scopeOf(context, name))
  context.terminal.print(printHistory(view.history?.value ?? [], format))
}

/** The rows in one format. Pure. */
export function printHistory(lines: readonly HistoryLine[], format: Format): string {
  const rows = lines.map(cellsOf)
  if (format === 'pretty')
    return printTable(
      COLUMNS,
      rows.map(row => row.map(cellText)),
    )
  if (format === 'tsv') {
    const text = [COLUMNS.map(({ title }) => title), ...rows.map(row => row.map(cellText))]
    return text.map(row => `${row.join('\t')}\n`).join('')
  }
  const objects: Json = rows.map(row =>
    Object.fromEntries(COLUMNS.map(({ title }, index) => [title, row[index] ?? ''])),
  )
  return printObjects(format, objects)
}

function cellsOf({
  timeline,
  switchLsn,
  reason,
  time,
  newLeader,
}: HistoryLine): readonly (string | number | bigint)[] {
  return [timeline, switchLsn, reason, time ?? '', newLeader ?? '']
}

function cellText(value: string | number | bigint): string {
  return String(value)
}

/** Prints the `config` key as YAML, with a blank line at its end. */
export async function showConfig(context: CtlContext, name: string | undefined): Promise<void> {
  const scope = scopeOf(context, name)
  const view = await readCluster(context, scope)
  if (view.config === undefined) throw new UserError(`The cluster ${scope} has no configuration in etcd`)
  context.terminal.print(`${printYaml(view.config.value)}\n`)
}
