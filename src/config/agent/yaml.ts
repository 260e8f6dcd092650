// YAML as PyYAML reads it (version 1.1), because that is what existing files were written for: `no` is false, 0644 is
// octal, 1:30 is sixty-based, and `y` is text. Keeps the line of every key for messages.

import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type ScalarTag,
} from 'yaml'
import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import { messageOf, UserError } from '../../platform/errors.ts'
import { Places } from './places.ts'

const INTEGER =
  /^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
const TRUE = /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/
const FALSE = /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/
const NULL = /^(?:~|null|Null|NULL|)$/
const ALIASES_MAX = 1000

const tags: ScalarTag[] = [
  { tag: 'tag:yaml.org,2002:null', default: true, test: NULL, resolve: () => null },
  { tag: 'tag:yaml.org,2002:bool', default: true, test: TRUE, resolve: text => TRUE.test(text) },
  { tag: 'tag:yaml.org,2002:bool', default: true, test: FALSE, resolve: text => TRUE.test(text) },
  { tag: 'tag:yaml.org,2002:int', default: true, test: INTEGER, resolve: readInteger },
  { tag: 'tag:yaml.org,2002:float', default: true, test: FLOAT, resolve: readFloat },
]

/** What a text holds and where each key stands. `file` is the name that messages show. */
export interface YamlText {
  readonly value: JsonObject
  readonly places: Places
}

/** Reads a text whose top must be a mapping. Throws UserError with file and line. */
export function parseYamlMapping(text: string, file: string): YamlText {
  const lines = new LineCounter()
  const document = parseTree(text, file, lines)
  const value = toValue(document, file)
  if (value === null) throw new UserError(`${file}: is empty: expected a mapping of settings`)
  if (!isObject(value)) throw new UserError(`${file}:1: expected a mapping of settings at the top`)
  const places = new Places()
  notePlaces(document.contents, [], (path, offset) =>
    places.set(path, { file, line: lines.linePos(offset).line, variable: undefined }),
  )
  return { value, places }
}

/** Reads one value (an environment variable, an option's value); undefined when it is no YAML. */
export function parseYamlValue(text: string): Json | undefined {
  const document = parseDocument(text, { schema: 'failsafe', customTags: tags, version: '1.1', merge: true })
  try {
    return document.errors.length > 0 ? undefined : toValue(document, '')
  } catch {
    return undefined
  }
}

/** Expands aliases; an unknown one or a bomb of them ends here, not in memory. */
function toValue(document: Document.Parsed, file: string): Json {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX }) as Json
  } catch (error) {
    throw new UserError(`${file}: is no YAML: ${messageOf(error)}`)
  }
}

function parseTree(text: string, file: string, lineCounter: LineCounter): Document.Parsed {
  const document = parseDocument(text, {
    schema: 'failsafe',
    customTags: tags,
    version: '1.1',
    merge: true,
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter,
  })
  const [error] = document.errors
  if (error === undefined) return document
  throw new UserError(`${file}:${lineCounter.linePos(error.pos[0]).line}: is no YAML: ${error.message}`)
}

function notePlaces(
  node: unknown,
  path: readonly string[],
  note: (path: readonly string[], offset: number) => void,
): void {
  if (isMap(node)) {
    for (const pair of node.items) {
      if (!isPair(pair) || !isScalar(pair.key)) continue
      const at = [...path, String(pair.key.value)]
      note(at, pair.key.range?.[0] ?? 0)
      notePlaces(pair.value, at, note)
    }
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) {
      const at = [...path, String(index)]
      const range = (item as { range?: readonly number[] | null } | null)?.range
      if (range?.[0] !== undefined) note(at, range[0])
      notePlaces(item, at, note)
    }
  }
}

function readInteger(text: string): number | bigint {
  const plain = text.replaceAll('_', '')
  const negative = plain.startsWith('-')
  const digits = plain.replace(/^[-+]/, '')
  const size = wholeNumber(digits)
  const exact = negative ? -size : size
  return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact
}

function wholeNumber(digits: string): bigint {
  if (digits.includes(':')) return digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n)
  if (/^0[bx]/.test(digits)) return digits.length === 2 ? 0n : BigInt(digits)
  if (digits.startsWith('0') && digits.length > 1) return BigInt(`0o${digits.slice(1)}`)
  return BigInt(digits)
}

function readFloat(text: string): number {
  const plain = text.replaceAll('_', '').toLowerCase()
  const sign = plain.startsWith('-') ? -1 : 1
  const digits = plain.replace(/^[-+]/, '')
  if (digits === '.inf') return sign * Number.POSITIVE_INFINITY
  if (digits === '.nan') return Number.NaN
  if (!digits.includes(':')) return sign * Number(digits)
  return sign * digits.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
}
