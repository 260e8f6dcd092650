// JSON in the form that existing scripts grep for: a space after each comma and colon, ASCII only.

import { isObject, type Json, type JsonObject } from './json.ts'

/** Printable ASCII without a quote or a backslash: stands in JSON as it is. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** `{"state": "running", "timeline": 3}`; bigint values stand as plain whole numbers, undefined fields are left out. */
export function printSpacedJson(value: Json): string {
  if (typeof value === 'string') return printText(value)
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return `[${value.map(printSpacedJson).join(', ')}]`
  return isObject(value) ? printFields(value) : (JSON.stringify(value) ?? 'null')
}

function printFields(value: JsonObject): string {
  let text = ''
  for (const key of Object.keys(value)) {
    const field: Json | undefined = value[key]
    if (field === undefined) continue
    if (text !== '') text += ', '
    text += `${printText(key)}: ${printSpacedJson(field)}`
  }
  return `{${text}}`
}

function printText(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
