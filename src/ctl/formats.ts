// The output formats: pretty (tables), tsv, json, yaml. Pure.

import { isObject, type Json, type JsonObject } from '../cluster/json.ts'
import { printSpacedJson } from '../cluster/spaced-json.ts'
import type { MemberTable } from './members.ts'
import { printTable } from './table.ts'
import { printYaml } from './yaml-text.ts'

export const formats = ['pretty', 'tsv', 'json', 'yaml', 'yml'] as const
export type Format = (typeof formats)[number]

/** A table for people; `inline` writes tags on one line, as `topology` does. */
export function printPretty({ fields, rows }: MemberTable, title: string, inline = false): string {
  const cells = rows.map(row => fields.map(({ key }) => cellText(row[key], inline)))
  const lined = cells.some(row => row.some(cell => cell.includes('\n')))
  return printTable(fields, cells, {
    title,
    lined: lined || (!inline && rows.some(row => row['Tags'] !== undefined)),
  })
}

/** Members of one or more clusters for programs; the first column names the cluster. */
export function printPlain(
  format: Exclude<Format, 'pretty'>,
  clusters: readonly (readonly [string, MemberTable])[],
): string {
  if (format === 'tsv')
    return clusters.map(([name, table], index) => printTsv(name, table, index === 0)).join('')
  const rows: readonly Json[] = clusters.flatMap(([name, table]) =>
    table.rows.map((row): JsonObject => ({ Cluster: name, ...row })),
  )
  return printObjects(format, rows)
}

/** JSON on one line, or YAML with a blank line at its end. */
export function printObjects(format: 'json' | 'yaml' | 'yml', rows: Json): string {
  return `${format === 'json' ? printSpacedJson(rows) : printYaml(rows)}\n`
}

function printTsv(cluster: string, { fields, rows }: MemberTable, withHeading: boolean): string {
  const heading = ['Cluster', ...fields.map(({ key }) => key)].join('\t')
  const lines = rows.map(row => [cluster, ...fields.map(({ key }) => cellText(row[key], true))].join('\t'))
  return [...(withHeading ? [heading] : []), ...lines].map(line => `${line}\n`).join('')
}

/** Tags, sorted by name, as `key: value` lines or as `{key: value}` on one line. */
export function cellText(value: Json | undefined, inline: boolean): string {
  if (value === undefined || value === null) return ''
  if (!isObject(value)) return inline ? String(value).replaceAll('\n', ', ') : String(value)
  const pairs = Object.keys(value)
    .sort()
    .map(key => `${key}: ${printYaml(value[key] ?? null).trim()}`)
  return inline ? `{${pairs.join(', ')}}` : pairs.join('\n')
}
