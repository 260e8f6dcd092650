// One node's configuration: reads the sources and gives each setting its type. Exits by UserError, never by a stack.

import { userInfo } from 'node:os'
import type { Tags } from '../../cluster/member.ts'
import { readVips } from '../vip/read.ts'
import type { VipConfig } from '../vip/types.ts'
import { readEtcd } from './etcd.ts'
import { otherStores, ownKeys, topKeys } from './known.ts'
import { readLog } from './log.ts'
import { readBootstrap, readPostgres, warnInert } from './postgres.ts'
import { readRest, readRestClient } from './rest.ts'
import { type Reading, Section } from './section.ts'
import { readSource, type Source } from './source.ts'
import { readTags } from './tags.ts'
import type { ConfigWarning, LocalConfig } from './types.ts'
import { readScripts, readWatchdog } from './watchdog.ts'

/** Stands for nobody in synchronous_standby_names, so no member may carry it. */
const PLACEHOLDER = '__patroni_strict_sync_replica_placeholder__'

/**
 * Reads a node's file (or directory, or PATRONI_CONFIGURATION) and the PATRONI_* variables of `env`, which are removed
 * from it. Throws UserError `file:line: key.path: expected ...` for a missing or mistyped required setting.
 */
export async function loadLocalConfig(
  path: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<LocalConfig> {
  return localConfig(await readSource(path, env), systemUser())
}

/** The typed form of merged sources. Pure. */
export function localConfig(source: Source, user: string | undefined): LocalConfig {
  const reading: Reading = { file: source.file, places: source.places, warnings: [] }
  const top = new Section(source.value, [], reading)
  const known = new Set([...topKeys, ...namesOfOtherStores(source)])
  top.warnUnknown(known)
  warnInert(top, '')
  const name = readName(top)
  const scope = readScope(top)
  const tags: Tags = readTags(top.section('tags'))
  return {
    file: source.file,
    name,
    scope,
    namespace: readNamespace(top),
    etcd: readEtcd(top),
    rest: readRest(top),
    restClient: readRestClient(top),
    bootstrap: readBootstrap(top),
    postgres: readPostgres(top, user),
    tags,
    log: readLog(top),
    watchdog: readWatchdog(top),
    scripts: readScripts(top),
    vips: readOwnVips(top),
    warnings: inOrder(reading.warnings),
  }
}

/** A warning as one line: `file:line: key.path says`. */
export function printWarning(warning: ConfigWarning): string {
  const place = warning.line === undefined ? warning.file : `${warning.file}:${warning.line}`
  return `${place}: ${warning.keyPath} ${warning.says}`
}

/** As they stand in the files, whatever was read first. */
function inOrder(warnings: readonly ConfigWarning[]): readonly ConfigWarning[] {
  return warnings.toSorted((a, b) => a.file.localeCompare(b.file) || (a.line ?? 0) - (b.line ?? 0))
}

function namesOfOtherStores(source: Source): readonly string[] {
  return otherStores.filter(key => key in source.value)
}

/** Below `pgherd:`, a section that Patroni does not know. */
function readOwnVips(top: Section): readonly VipConfig[] {
  const own = top.section('pgherd')
  own.warnUnknown(ownKeys)
  return readVips(own.section('vip'), { follows: ['leader', 'replica'], hasEtcd: true })
}

function readName(top: Section): string {
  const name = top.requiredText('name', "this member's name")
  if (name === PLACEHOLDER) throw top.wrong('name', 'another name: this one is reserved')
  if (name.includes('/')) throw top.wrong('name', 'a name without /')
  return name
}

/** The cluster's name; also used by ctl. */
export function readScope(top: Section): string {
  const scope = top.requiredText('scope', "the cluster's name")
  if (scope.includes('/')) throw top.wrong('scope', 'a name without /')
  return scope
}

/** `/service`; the root is the empty text. */
export function readNamespace(top: Section): string {
  // An empty one is the root, as with Patroni.
  const given = top.values['namespace'] === '' ? '/' : top.text('namespace')
  const words = (given ?? 'service').split('/').filter(word => word !== '')
  return words.map(word => `/${word}`).join('')
}

/** Undefined for a user id without a name, as containers have it. */
function systemUser(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
