// Tolerant reading of JSON that others wrote. Nothing here throws: what cannot be read is undefined.

/** Any JSON value. Whole numbers that pass 2^53 are bigint. */
export type Json = string | number | bigint | boolean | null | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

const DEEP = 1_000

/** A number of 16 digits or more, where JSON may have one: what has fewer is exact. In a string it does no harm. */
const LONG_NUMBER = /(?:^|[:,[\s])-?\d{16}/

/** Parses JSON and keeps whole numbers exact; undefined when the text is no JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    // To look at every value costs ten times as much as to parse them.
    return LONG_NUMBER.test(text) || isDeep(text)
      ? (JSON.parse(text, keepWholeNumbersExact) as Json)
      : (JSON.parse(text) as Json)
  } catch {
    return undefined
  }
}

function keepWholeNumbersExact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = context?.source
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value
}

/**
 * May it be nested deeper than whoever walks through it has stack for? The careful way gives up on such text. Brackets in
 * strings count, which costs time alone.
 */
function isDeep(text: string): boolean {
  if (text.length < DEEP) return false
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === 0x5b || code === 0x7b) depth += 1
    else if (code === 0x5d || code === 0x7d) depth -= 1
    if (depth > DEEP) return true
  }
  return false
}

/** Parses JSON that must be an object; undefined otherwise. */
export function parseJsonObject(text: string): JsonObject | undefined {
  const value = parseJson(text)
  return isObject(value) ? value : undefined
}

/** Compact JSON in which bigint values stand as plain whole numbers. */
export function printJson(value: Json): string {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(printJson).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${printJson(field)}`).join(',')}}`
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function asText(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A whole number from a JSON number or from decimal text. */
export function asBigint(value: Json | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return BigInt(value)
  return undefined
}

/** A whole number that fits a JavaScript number exactly. */
export function asInteger(value: Json | undefined): number | undefined {
  const whole = asBigint(value)
  if (whole === undefined) return undefined
  const number = Number(whole)
  return Number.isSafeInteger(number) ? number : undefined
}
