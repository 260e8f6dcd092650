// YAML in block style as PyYAML prints it: sorted keys, lists not indented, quotes only where a reader would else see
// another type. Pure.

import { isObject, type Json } from '../cluster/json.ts'

/** The document, ended by a line break. */
export function printYaml(value: Json): string {
  if (Array.isArray(value) && value.length > 0) return printList(value, 0)
  if (isObject(value) && Object.keys(value).length > 0) return printMapping(value, 0)
  return `${printScalar(value)}\n`
}

function printMapping(value: Readonly<Record<string, Json>>, depth: number): string {
  const indent = '  '.repeat(depth)
  return Object.keys(value)
    .sort()
    .map(key => `${indent}${printScalar(key)}:${printInner(value[key] ?? null, depth)}`)
    .join('')
}

/** What follows a key: a nested block on the next lines, or the value on the same one. */
function printInner(value: Json, depth: number): string {
  if (Array.isArray(value) && value.length > 0) return `\n${printList(value, depth)}`
  if (isObject(value) && Object.keys(value).length > 0) return `\n${printMapping(value, depth + 1)}`
  return ` ${printScalar(value)}\n`
}

function printList(items: readonly Json[], depth: number): string {
  const indent = '  '.repeat(depth)
  return items
    .map(item => {
      const isBlock = typeof item === 'object' && item !== null && Object.keys(item).length > 0
      if (!isBlock) return `${indent}- ${printScalar(item)}\n`
      const block = Array.isArray(item)
        ? printList(item, depth + 1)
        : printMapping(item as Readonly<Record<string, Json>>, depth + 1)
      return `${indent}- ${block.slice(indent.length + 2)}`
    })
    .join('')
}

function printScalar(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return '[]'
  if (typeof value === 'object') return '{}'
  if (typeof value !== 'string') return printNumber(value)
  if (/[\p{Cc}\u2028\u2029\ufeff]/u.test(value)) return JSON.stringify(value)
  return isPlain(value) ? value : `'${value.replaceAll("'", "''")}'`
}

/** Exponents need a point and a sign, or a YAML 1.1 reader would see text. */
function printNumber(value: number | bigint | boolean): string {
  const text = String(value)
  if (typeof value !== 'number' || !text.includes('e')) return text
  const [mantissa = '', exponent = ''] = text.split('e')
  const sign = exponent.startsWith('-') ? '-' : '+'
  const digits = exponent.replace(/^[+-]/, '').padStart(2, '0')
  return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}e${sign}${digits}`
}

const OTHER_TYPE =
  /^(?:|~|null|Null|NULL|=|<<|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|\d{4}-\d\d?-\d\d?.*)$/

function isPlain(text: string): boolean {
  if (OTHER_TYPE.test(text) || text !== text.trim()) return false
  if (/^[,[\]{}#&*!|>'"%@`]/.test(text) || /^[-?:](?:\s|$)/.test(text) || /^(?:---|\.\.\.)/.test(text))
    return false
  return !/:(?:\s|$)|\s#/.test(text)
}
