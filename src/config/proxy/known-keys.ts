// What may stand where somebody wrote an unknown key: asked of the schema itself, so that it is never out of date.

import { z } from 'zod'
import { nearestName } from '../haproxy/nearest.ts'

/** "unknown key; did you mean bind?", or all keys that may stand there when none is near. */
export function unknownKey(schema: z.core.$ZodType, path: readonly string[], key: string): string {
  return unknownAmong(keysAt(schema, path), key)
}

/** The same among names that are known already. */
export function unknownAmong(names: Iterable<string>, key: string): string {
  const known = [...names]
  const near = nearestName(key, known)
  if (near !== undefined) return `unknown key; did you mean ${near}?`
  return known.length === 0 ? 'unknown key' : `unknown key; expected one of ${known.join(', ')}`
}

function keysAt(schema: z.core.$ZodType, path: readonly string[]): readonly string[] {
  const bare = unwrapped(schema)
  const [first, ...rest] = path
  if (bare instanceof z.ZodObject) {
    if (first === undefined) return Object.keys(bare.shape)
    const inner: z.core.$ZodType | undefined = bare.shape[first]
    return inner === undefined ? [] : keysAt(inner, rest)
  }
  // A mapping whose keys are the user's own names.
  return bare instanceof z.ZodRecord && first !== undefined ? keysAt(bare.valueType, rest) : []
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable
  )
    return unwrapped(schema.unwrap())
  return schema instanceof z.ZodPipe ? unwrapped(schema.in) : schema
}
