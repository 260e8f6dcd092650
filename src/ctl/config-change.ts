// What `edit-config` makes of the configuration before it is written: single settings, files laid over or in place. Pure.

import { isObject, type Json, type JsonObject } from '../cluster/json.ts'
import { UserError } from '../platform/errors.ts'
import { readYamlValue } from './yaml-read.ts'

/**
 * Applies `dotted.path=YAML value` settings. null removes, mappings that become empty go too; below postgresql.parameters
 * the rest of the path is one name, because PostgreSQL's names may have dots. Throws UserError for a setting without `=`.
 */
export function applySettings(config: JsonObject, settings: readonly string[]): JsonObject {
  return settings.reduce((changed, setting) => {
    const mark = setting.indexOf('=')
    if (mark < 0) throw new UserError(`Invalid parameter setting ${setting}`)
    const value = readYamlValue(setting.slice(mark + 1))
    if (value === undefined) throw new UserError(`Invalid YAML in the parameter setting ${setting}`)
    return setAt(changed, setting.slice(0, mark).trim().split('.'), value, [])
  }, config)
}

function setAt(
  config: JsonObject,
  path: readonly string[],
  value: Json,
  above: readonly string[],
): JsonObject {
  const isParameter = above.length === 2 && above[0] === 'postgresql' && above[1] === 'parameters'
  const [key = '', ...rest] = isParameter ? [path.join('.')] : path
  const changed: Record<string, Json> = { ...config }
  if (rest.length > 0) {
    const inner = config[key]
    const below = setAt(isObject(inner) ? inner : {}, rest, value, [...above, key])
    if (Object.keys(below).length > 0) changed[key] = below
    else delete changed[key]
  } else if (value === null) delete changed[key]
  else changed[key] = value
  return changed
}
