// How a PATCH of the configuration is laid over it. Pure.

import { isObject, type Json, type JsonObject } from './json.ts'

/**
 * `patch` laid over `config`: null removes, mappings merge, anything else replaces. A value whose text is the same stays
 * as it is, whatever its type, so that `1` does not become `"1"`. The same object when nothing changes.
 */
export function patchConfig(config: JsonObject, patch: JsonObject): JsonObject {
  const patched: Record<string, Json> = { ...config }
  let isChanged = false
  for (const [name, value] of Object.entries(patch)) {
    const before = patched[name]
    const after = patchValue(before, value)
    if (after === before) continue
    isChanged = true
    if (after === undefined) delete patched[name]
    else patched[name] = after
  }
  return isChanged ? patched : config
}

function patchValue(before: Json | undefined, value: Json): Json | undefined {
  if (value === null) return undefined
  if (before === undefined) return value
  if (isObject(value)) return isObject(before) ? patchConfig(before, value) : value
  return pythonText(before) === pythonText(value) ? before : value
}

/** The text by which other members compare values: theirs is Python's. */
export function pythonText(value: Json): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value !== 'object') return String(value)
  return `json:${JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'bigint' ? inner.toString() : inner,
  )}`
}
