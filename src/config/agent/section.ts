// Typed reading of one mapping of the file. A wrong type ends with file, line, key path and what was expected;
// values of secret keys never appear in a message.

import { isObject, type Json, type JsonObject } from '../../cluster/json.ts'
import type { HostPort } from '../../cluster/member.ts'
import { UserError } from '../../platform/errors.ts'
import { type Places, printPlace } from './places.ts'
import type { ConfigWarning } from './types.ts'
import { readBoolean, readInteger } from './units.ts'

const SECRET = /password|passwd|secret|token/i
const SHOWN_CHARS_MAX = 60

/** Shared by all sections of one load: where keys stand, and the warnings found so far. */
export interface Reading {
  /** Shown when a place is unknown: the file, or `environment`. */
  readonly file: string
  readonly places: Places
  readonly warnings: ConfigWarning[]
}

/** One mapping of the configuration with the path that leads to it. */
export class Section {
  readonly values: JsonObject
  readonly path: readonly string[]
  readonly #reading: Reading

  constructor(values: JsonObject, path: readonly string[], reading: Reading) {
    this.values = values
    this.path = path
    this.#reading = reading
  }

  /** The same mapping with some values replaced. */
  with(values: JsonObject): Section {
    return new Section({ ...this.values, ...values }, this.path, this.#reading)
  }

  /** Whether a value stands there that means something: an empty text, as templates leave it, does not. */
  has(key: string): boolean {
    return this.stands(key) && this.values[key] !== ''
  }

  /** Whether anything stands there, an empty text included: for guards, which must not be lost with a variable. */
  stands(key: string): boolean {
    const value = this.values[key]
    return value !== undefined && value !== null
  }

  /** The mapping under `key`; empty when absent. */
  section(key: string): Section {
    const value = this.values[key] ?? {}
    if (!isObject(value)) throw this.wrong(key, 'a mapping')
    return new Section(value, [...this.path, key], this.#reading)
  }

  /** Text, undefined when it is empty; numbers and booleans count as their text, as they do for PostgreSQL's tools. */
  text(key: string): string | undefined {
    const value = this.values[key]
    if (value === undefined || value === null || value === '') return undefined
    if (typeof value === 'string') return value
    if (typeof value === 'object') throw this.wrong(key, 'text')
    if (SECRET.test(key)) this.warn(key, 'is read as a number or boolean by YAML: put it in quotes')
    return String(value)
  }

  requiredText(key: string, expected: string): string {
    if (typeof this.values[key] === 'object') throw this.wrong(key, expected)
    const value = this.text(key)
    if (value === undefined) throw this.wrong(key, expected)
    return value
  }

  boolean(key: string): boolean | undefined {
    if (!this.stands(key)) return undefined
    const value = readBoolean(this.values[key])
    if (value === undefined) throw this.wrong(key, 'true or false')
    return value
  }

  integer(key: string): number | undefined {
    if (!this.stands(key)) return undefined
    const value = readInteger(this.values[key])
    if (value === undefined) throw this.wrong(key, 'a whole number')
    return value
  }

  /** `host:port`, `[::1]:port`, `*:port` or `:port`. */
  hostPort(key: string, defaultPort: number, expected = 'host:port'): HostPort | undefined {
    if (!this.has(key)) return undefined
    const address = parseHostPort(this.text(key) ?? '', defaultPort)
    if (address === undefined) throw this.wrong(key, expected)
    return address
  }

  /** A list of lines; anything else in it is refused. */
  lines(key: string): readonly string[] | undefined {
    const value = this.values[key]
    if (value === undefined || value === null) return undefined
    if (!Array.isArray(value)) throw this.wrong(key, 'a list of lines')
    return value.map((line: Json, index) => {
      if (typeof line !== 'string') throw this.wrong(`${key}`, `text in entry ${index + 1}`)
      return line
    })
  }

  /** The error for `key`: place, path, what was expected, what was found. */
  wrong(key: string, expected: string): UserError {
    const found = this.stands(key) ? `, found ${describe(key, this.values[key])}` : ', but it is missing'
    return new UserError(`${this.#where(key)}: ${this.keyPath(key)}: expected ${expected}${found}`)
  }

  /** The same for a value that may hold a password: it is not shown. */
  wrongSecret(key: string, expected: string): UserError {
    return new UserError(`${this.#where(key)}: ${this.keyPath(key)}: expected ${expected}`)
  }

  warn(key: string, says: string): void {
    const place = this.#reading.places.find([...this.path, key])
    this.#reading.warnings.push({
      file:
        place?.variable === undefined ? (place?.file ?? this.#reading.file) : `environment ${place.variable}`,
      line: place?.line,
      keyPath: this.keyPath(key),
      says,
    })
  }

  /** One warning for each key that is not in `known`. */
  warnUnknown(known: ReadonlySet<string>): void {
    for (const key of Object.keys(this.values)) {
      if (!known.has(key)) this.warn(key, 'is not a known setting and has no effect')
    }
  }

  keyPath(key: string): string {
    return [...this.path, key].join('.')
  }

  #where(key: string): string {
    const { places, file } = this.#reading
    if (!this.stands(key)) return missingPlace(places, this.path, file)
    const place = places.find([...this.path, key])
    return place === undefined ? file : printPlace(place)
  }
}

/** A missing key is told at its section's line; at the top of the file there is no line to name. */
function missingPlace(places: Places, path: readonly string[], file: string): string {
  const place = path.length === 0 ? undefined : places.find(path)
  return place === undefined ? file : printPlace(place)
}

function describe(key: string, value: Json | undefined): string {
  if (Array.isArray(value)) return 'a list'
  if (isObject(value)) return 'a mapping'
  if (SECRET.test(key)) return 'a value of another type'
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}...` : shown
}

/** Splits at the last colon; brackets of IPv6 are removed; undefined when the port is no port. */
export function parseHostPort(text: string, defaultPort: number): HostPort | undefined {
  const trimmed = text.trim()
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(trimmed)
  if (bracketed !== null) return withPort(bracketed[1] ?? '', bracketed[2], defaultPort)
  const colon = trimmed.lastIndexOf(':')
  if (colon < 0) return trimmed === '' ? undefined : withPort(trimmed, undefined, defaultPort)
  return withPort(trimmed.slice(0, colon), trimmed.slice(colon + 1), defaultPort)
}

function withPort(host: string, portText: string | undefined, defaultPort: number): HostPort | undefined {
  if (/[\s/]/.test(host)) return undefined
  if (portText === undefined) return { host, port: defaultPort }
  const port = Number(portText)
  return /^\d+$/.test(portText) && port >= 1 && port <= 65535 ? { host, port } : undefined
}
