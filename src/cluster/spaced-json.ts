// JSON in the form that existing scripts grep for: a space after each comma and colon, ASCII only.

import { isObject, type Json } from './json.ts'

/** `{"state": "running", "timeline": 3}`; bigint values stand as plain whole numbers, undefined fields are left out. */
export function printSpacedJson(value: Json): string {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(printSpacedJson).join(', ')}]`
  if (!isObject(value)) return toAscii(JSON.stringify(value))
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return `{${fields.map(([key, field]) => `${toAscii(JSON.stringify(key))}: ${printSpacedJson(field)}`).join(', ')}}`
}

function toAscii(text: string): string {
  return text.replace(/[\u007f-\uffff]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
