// Options of pg_basebackup, pg_rewind and initdb as a configuration lists them. Pure.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import type { ToolOption } from './types.ts'

/** A list of names and single pairs, or a mapping; undefined for anything else. An entry that is no option is undefined. */
export function toolOptions(value: Json): readonly (ToolOption | undefined)[] | undefined {
  if (Array.isArray(value)) return value.map(readToolOption)
  if (!isObject(value)) return undefined
  return Object.entries(value).map(([name, of]) => readToolOption({ [name]: of }))
}

/** The name of an option, with a value or without. */
export function optionName(option: ToolOption): string {
  return typeof option === 'string' ? option : (Object.keys(option)[0] ?? '')
}

function readToolOption(entry: Json): ToolOption | undefined {
  if (typeof entry === 'string') return entry
  const pairs = isObject(entry) ? Object.entries(entry) : []
  const [pair] = pairs
  if (pairs.length !== 1 || pair === undefined) return undefined
  const [name, value] = pair
  if (value === null || value === true) return name
  return typeof value === 'object' ? undefined : { [name]: String(value) }
}

/** One tool's options in the cluster's configuration: what cannot be read is left out with a warning. */
export function clusterToolOptions(
  dynamic: JsonObject,
  key: string,
  warnings: string[],
): readonly ToolOption[] {
  const value = dynamic[key] ?? undefined
  if (value === undefined) return []
  const entries = toolOptions(value)
  if (entries === undefined) warnings.push(`postgresql.${key}: expected a list or mapping of options`)
  else if (entries.includes(undefined))
    warnings.push(`postgresql.${key}: expected options as \`name\` or \`name: value\``)
  return (entries ?? []).filter(entry => entry !== undefined)
}
