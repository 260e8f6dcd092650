// The operator's scripts as the cluster's and the node's configuration name them. Pure.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import { callbackKeys } from './known.ts'
import type { CallbackAction, Scripts } from './types.ts'

/** The node's file wins, for each callback by itself. What is no command line is left out with a warning. */
export function readServerScripts(
  { dynamic, local }: { readonly dynamic: JsonObject; readonly local: JsonObject },
  warnings: string[],
): Scripts {
  const command = (path: string, value: Json | undefined): string | undefined => {
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value === 'string') return value
    warnings.push(`postgresql.${path}: expected a command line`)
    return undefined
  }
  const callbacks: Partial<Record<CallbackAction, string>> = {}
  for (const [name, value] of Object.entries({ ...callbacksOf(dynamic), ...callbacksOf(local) })) {
    if (!isCallback(name)) {
      warnings.push(`postgresql.callbacks.${name}: is not a known callback and is never called`)
      continue
    }
    const line = command(`callbacks.${name}`, value)
    if (line !== undefined) callbacks[name] = line
  }
  const either = (key: string) => command(key, local[key] ?? dynamic[key])
  return { callbacks, prePromote: either('pre_promote'), beforeStop: either('before_stop') }
}

function callbacksOf(side: JsonObject): JsonObject {
  const value = side['callbacks']
  return isObject(value) ? value : {}
}

function isCallback(name: string): name is CallbackAction {
  return callbackKeys.has(name)
}
