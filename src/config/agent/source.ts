// Finds and merges the configuration's sources: a file or a directory of files, PATRONI_CONFIGURATION, and the
// environment's overrides. Knows nothing of what the settings mean.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isObject, type JsonObject } from '../../cluster/json.ts'
import { UserError } from '../../platform/errors.ts'
import { readEnvironment, removeVariables } from './environment.ts'
import { Places } from './places.ts'
import { parseYamlMapping, type YamlText } from './yaml.ts'

/** All sources merged; `file` is what messages call the whole. */
export interface Source extends YamlText {
  readonly file: string
}

const WHOLE_TEXT = 'PATRONI_CONFIGURATION'

/**
 * Reads `path` (a file or a directory of *.yml and *.yaml in name order), else PATRONI_CONFIGURATION, else the
 * environment alone; PATRONI_* override what a file says and are removed from `env` afterwards.
 * `missingFile` says whether the environment may stand in for a file that does not exist.
 * Throws UserError when there is nothing to read or it is no mapping.
 */
export async function readSource(
  path: string | undefined,
  env: NodeJS.ProcessEnv,
  missingFile: 'environment' | 'error' = 'environment',
): Promise<Source> {
  const base = await readBase(path, env)
  if (base === undefined && path !== undefined && missingFile === 'error') throw noSuchFile(path)
  const overrides = readEnvironment(env)
  const wholeText = env[WHOLE_TEXT]
  removeVariables(env)
  if (base === undefined && Object.keys(overrides.value).length === 0) throw nothingToRead(path, wholeText)
  const places = new Places()
  if (base !== undefined) places.add(base.places)
  places.add(overrides.places)
  const value = mergeDeep(base?.value ?? {}, overrides.value)
  return { file: base?.file ?? 'environment', value, places }
}

async function readBase(path: string | undefined, env: NodeJS.ProcessEnv): Promise<Source | undefined> {
  const files = path === undefined ? undefined : await filesOf(path)
  if (path !== undefined && files !== undefined) return readFiles(path, files)
  const text = env[WHOLE_TEXT]
  return text === undefined || text.trim() === ''
    ? undefined
    : { file: WHOLE_TEXT, ...parseYamlMapping(text, WHOLE_TEXT) }
}

async function filesOf(path: string): Promise<readonly string[] | undefined> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) return [path]
    const names = (await readdir(path)).filter(name => /\.ya?ml$/.test(name)).sort()
    if (names.length === 0) throw new UserError(`${path}: holds no *.yml or *.yaml file`)
    return names.map(name => join(path, name))
  } catch (error) {
    if (isMissing(error)) return undefined
    throw unreadable(path, error)
  }
}

async function readFiles(path: string, files: readonly string[]): Promise<Source> {
  const places = new Places()
  let value: JsonObject = {}
  for (const file of files) {
    const content = await readFile(file, 'utf8').catch((error: unknown) => {
      throw unreadable(file, error)
    })
    const part = parseYamlMapping(content, file)
    places.add(part.places)
    value = mergeDeep(value, part.value)
  }
  return { file: path, value, places }
}

/** `over` wins; mappings are merged key by key, everything else is replaced. */
export function mergeDeep(base: JsonObject, over: JsonObject): JsonObject {
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(over)) {
    const before = merged.get(key)
    merged.set(key, isObject(before) && isObject(value) ? mergeDeep(before, value) : value)
  }
  return Object.fromEntries(merged)
}

function noSuchFile(path: string): UserError {
  return new UserError(`${path}: no such file or directory`)
}

function nothingToRead(path: string | undefined, wholeText: string | undefined): UserError {
  if (path === undefined) return new UserError('no configuration: name a file, or set PATRONI_* variables')
  const hint = wholeText === undefined ? 'no PATRONI_* variable is set' : `${WHOLE_TEXT} is empty`
  return new UserError(`${path}: no such file or directory, and ${hint}`)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function unreadable(path: string, error: unknown): Error {
  if (error instanceof UserError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  const why: Readonly<Record<string, string>> = {
    EACCES: 'permission denied: let the user that runs this read it',
    EISDIR: 'is a directory',
    ENOTDIR: 'a part of this path is no directory',
  }
  return new UserError(`${path}: cannot be read: ${why[code] ?? code}`)
}
