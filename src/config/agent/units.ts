// Texts that PostgreSQL's settings allow for booleans and for numbers with units. Pure.

import { asInteger, type Json } from '../../cluster/json.ts'

const TRUE_WORDS = new Set(['on', 'true', 'yes', '1'])
const FALSE_WORDS = new Set(['off', 'false', 'no', '0'])

/** A boolean from YAML or from one of the words on/true/yes/1 and off/false/no/0 in any case. */
export function readBoolean(value: Json | undefined): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (value === 1 || value === 0) return value === 1
  if (typeof value !== 'string') return undefined
  const word = value.trim().toLowerCase()
  if (TRUE_WORDS.has(word)) return true
  return FALSE_WORDS.has(word) ? false : undefined
}

/** A whole number from YAML or decimal text; no units. */
export function readInteger(value: Json | undefined): number | undefined {
  return typeof value === 'string' ? asInteger(value.trim()) : asInteger(value)
}

const BYTES: Readonly<Record<string, number>> = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30, tb: 2 ** 40 }
const SECONDS: Readonly<Record<string, number>> = {
  us: 0.000001,
  ms: 0.001,
  s: 1,
  min: 60,
  h: 3600,
  d: 86400,
}

/** Bytes of `16384`, `16kB`, `64MB`, `1GB`; a bare number counts in `bareUnitBytes`. */
export function readBytes(value: Json | undefined, bareUnitBytes = 1): number | undefined {
  return readWithUnit(value, BYTES, bareUnitBytes)
}

/** Seconds of `1800`, `30min`, `2h`, `500ms`; a bare number is seconds. */
export function readSeconds(value: Json | undefined): number | undefined {
  return readWithUnit(value, SECONDS, 1)
}

function readWithUnit(
  value: Json | undefined,
  units: Readonly<Record<string, number>>,
  bareUnit: number,
): number | undefined {
  const whole = readInteger(value)
  if (whole !== undefined) return whole * bareUnit
  const match = typeof value === 'string' ? /^\s*(-?\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*$/.exec(value) : null
  const unit = match === null ? undefined : units[(match[2] ?? '').toLowerCase()]
  if (match === null || unit === undefined) return undefined
  return Math.round(Number(match[1]) * unit)
}
