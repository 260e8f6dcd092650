// The `log` section: what is told, how it looks and where it goes.

import { isObject, type Json } from '../../cluster/json.ts'
import type { LogLevel } from '../../platform/log.ts'
import {
  compileLook,
  DEFAULT_FORMAT,
  DEFAULT_JSON_FIELDS,
  type JsonFields,
  type LineLook,
} from '../../platform/log-format.ts'
import { logKeys } from './known.ts'
import { warnInert } from './postgres.ts'
import type { Section } from './section.ts'
import type { LogConfig, LogFileConfig } from './types.ts'

const FILE_NAME = 'patroni.log'
const QUEUE_LINES = 1_000
const OLD_FILES = 4
const FILE_BYTES = 25_000_000

/** What is unknown is a warning; only a directory that is no text ends the start. */
export function readLog(top: Section): LogConfig {
  const section = top.section('log')
  section.warnUnknown(logKeys)
  warnInert(section, 'log')
  const type = section.text('type') ?? 'plain'
  if (type !== 'plain' && type !== 'json') section.warn('type', 'is neither plain nor json: plain is used')
  const kind = type === 'json' ? 'json' : 'plain'
  const level = logLevel(section.text('level') ?? 'INFO')
  if (level === undefined) section.warn('level', 'is no level (DEBUG ... CRITICAL): INFO is used')
  if (section.has('deduplicate_heartbeat_logs') && section.boolean('deduplicate_heartbeat_logs') === false)
    section.warn(
      'deduplicate_heartbeat_logs',
      'has no effect: a sentence that stays the same is told once a minute',
    )
  return {
    level: level ?? 'info',
    levels: readLoggers(section),
    look: readLook(section, kind),
    file: readFile(section),
  }
}

const LEVELS: Readonly<Record<string, LogLevel>> = {
  notset: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warning',
  warning: 'warning',
  error: 'error',
  fatal: 'critical',
  critical: 'critical',
}

/** A level by its name in any case; undefined when there is none of that name. */
export function logLevel(name: string): LogLevel | undefined {
  return LEVELS[name.toLowerCase()]
}

/** The parts of the program by our names and by those of Patroni's modules. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  agent: ['patroni.ha', 'patroni.postgresql.sync', 'patroni.quorum'],
  postgres: ['patroni.postgresql'],
  etcd: ['patroni.dcs', 'etcd', 'urllib3'],
  rest: ['patroni.api'],
}

function readLoggers(section: Section): ReadonlyMap<string, LogLevel> {
  const levels = new Map<string, LogLevel>()
  const loggers = section.section('loggers')
  for (const name of Object.keys(loggers.values)) {
    const level = logLevel(loggers.text(name) ?? '')
    const parts = partsOf(name)
    if (parts.length === 0)
      loggers.warn(
        name,
        `is no part of this program (${Object.keys(PARTS)
          .map(part => `pgherd.${part}`)
          .join(', ')})`,
      )
    else if (level === undefined)
      loggers.warn(name, 'has no level (DEBUG ... CRITICAL): the general one is used')
    else for (const part of parts) levels.set(part, level)
  }
  return levels
}

/** `patroni` and `pgherd` alone are all parts; a module below a known one counts as that. */
function partsOf(name: string): readonly string[] {
  if (name === 'patroni' || name === 'pgherd') return Object.keys(PARTS)
  const found = Object.entries(PARTS)
    .flatMap(([part, modules]) => [`pgherd.${part}`, ...modules].map(module => ({ part, module })))
    .filter(({ module }) => name === module || name.startsWith(`${module}.`))
    .sort((a, b) => b.module.length - a.module.length)[0]
  return found === undefined ? [] : [found.part]
}

function readLook(section: Section, type: 'plain' | 'json'): LineLook {
  const format = section.values['format']
  const look: LineLook = {
    format: type === 'json' ? readFields(section, format) : readFormat(section, format),
    dateFormat: section.text('dateformat'),
    fixed: readFixed(section),
  }
  for (const name of compileLook(look).unknown) {
    const key = name.startsWith('%') && !name.startsWith('%(') ? 'dateformat' : 'format'
    section.warn(key, `has ${name}, which is not known here and prints nothing`)
  }
  return look
}

function readFormat(section: Section, format: Json | undefined): string {
  if (typeof format === 'string') return format
  if (section.has('format')) section.warn('format', 'is no text, as type plain wants it: the default is used')
  return DEFAULT_FORMAT
}

/** A list of names and of `name: called`, or the names in a text. */
function readFields(section: Section, format: Json | undefined): JsonFields {
  if (typeof format === 'string') {
    const names = [...format.matchAll(/%\((\w+)\)/g)].map(match => match[1] ?? '')
    if (names.length > 0) return names.map(name => [name, name])
  }
  if (Array.isArray(format)) {
    const fields = format.flatMap((item: Json): (readonly [string, string])[] => {
      if (typeof item === 'string') return [[item, item]]
      return isObject(item) ? Object.entries(item).map(([field, called]) => [field, String(called)]) : []
    })
    if (fields.length > 0) return fields
  }
  if (section.has('format'))
    section.warn('format', 'is no list of fields, as type json wants it: the default is used')
  return DEFAULT_JSON_FIELDS
}

function readFixed(section: Section): Readonly<Record<string, string>> {
  const fields = section.section('static_fields')
  return Object.fromEntries(Object.keys(fields.values).map(key => [key, fields.text(key) ?? '']))
}

function readFile(section: Section): LogFileConfig | undefined {
  const directory = section.text('dir')
  if (directory === undefined || directory === '') return undefined
  return {
    path: `${directory.replace(/\/+$/, '')}/${FILE_NAME}`,
    bytesMax: atLeast(section, 'file_size', 1, FILE_BYTES),
    oldFiles: atLeast(section, 'file_num', 0, OLD_FILES),
    linesMax: atLeast(section, 'max_queue_size', 1, QUEUE_LINES),
    mode: readMode(section),
  }
}

function atLeast(section: Section, key: string, least: number, fallback: number): number {
  const value = section.integer(key)
  if (value === undefined) return fallback
  if (value >= least) return value
  section.warn(key, `is less than ${least}: ${fallback} is used`)
  return fallback
}

/** YAML reads 0644 as octal; a text is octal, too. */
function readMode(section: Section): number | undefined {
  const value = section.values['mode']
  if (value === undefined || value === null) return undefined
  const mode =
    typeof value === 'string' && /^0?o?[0-7]{3,4}$/.test(value)
      ? Number.parseInt(value.replace('o', ''), 8)
      : value
  if (typeof mode === 'number' && Number.isInteger(mode) && mode > 0 && mode <= 0o777) return mode
  section.warn('mode', 'is no file mode such as 0644: the default is used')
  return undefined
}
