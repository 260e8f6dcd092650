// Reads a haproxy.cfg as the configuration of a proxy. Throws UserError for what cannot be used: one line a mistake.

import { readFile } from 'node:fs/promises'
import { messageOf, UserError } from '../../platform/errors.ts'
import type { ProxyConfig } from '../proxy/types.ts'
import { type Built, buildConfig, type Store } from './build.ts'
import { readSections, type Sections } from './read.ts'
import type { Remark } from './tokens.ts'

export interface HaproxyOptions {
  /** Does what is not known become a warning? */
  readonly lenient: boolean
  /** Where members are found instead of in the server lines. */
  readonly store?: Store
  /** For `"$NAME"` in the file. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

export interface HaproxyFile extends Built {
  readonly places: FilePlaces
  readonly sections: Sections
  readonly config: ProxyConfig
}

/** Does a text look like a haproxy.cfg? Its first word is a section. */
export function isHaproxyText(text: string): boolean {
  const first = /^[^\S\n]*([^\s#]+)/m.exec(text.replace(/^\s*#.*$/gm, ''))?.[1] ?? ''
  return /^(?:global|defaults|listen|frontend|backend|peers|resolvers|userlist|program)$/.test(first)
}

/** The same for a file. Throws UserError when it cannot be read. */
export async function isHaproxyFile(file: string): Promise<boolean> {
  return isHaproxyText(await readText(file))
}

/** Where each file of several begins, counting lines through all of them. */
export type FilePlaces = readonly { readonly file: string; readonly before: number }[]

/** Reads several files as one, in order: HAProxy takes `-f` more than once. */
export async function loadHaproxy(files: readonly string[], options: HaproxyOptions): Promise<HaproxyFile> {
  const texts = await Promise.all(files.map(readText))
  const places: { file: string; before: number }[] = []
  let before = 0
  for (const [index, text] of texts.entries()) {
    places.push({ file: files[index] ?? '', before })
    before += text.split('\n').length
  }
  return parse(texts.join('\n'), places, options)
}

function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`${file}: cannot be read: ${messageOf(error)}`)
  })
}

/** Checks a text. `file` is the name that messages show. */
export function parseHaproxy(text: string, file: string, options: HaproxyOptions): HaproxyFile {
  return parse(text, [{ file, before: 0 }], options)
}

function parse(text: string, places: FilePlaces, options: HaproxyOptions): HaproxyFile {
  const sections = readSections(text, options.env)
  const built = buildConfig(sections, places[0]?.file ?? '', options.store)
  const remarks = [...sections.remarks, ...built.remarks]
    .map(remark => (options.store === undefined ? remark : besideStore(remark)))
    .sort((a, b) => a.line - b.line)
  const isStop = ({ severity }: Remark) =>
    severity === 'error' || (severity === 'unknown' && !options.lenient)
  const stops = remarks.filter(isStop)
  if (stops.length > 0) throw new UserError(stops.map(remark => printStop(places, remark)).join('\n'))
  return { ...built, remarks, sections, places }
}

/** Members come from the store, so that servers that the file would look for in DNS are not missed. */
function besideStore(remark: Remark): Remark {
  if (remark.about !== 'server-template') return remark
  return { ...remark, says: 'has no effect: the members are those of the store', severity: 'warning' }
}

function printStop(places: FilePlaces, remark: Remark): string {
  const hint = remark.severity === 'unknown' ? ' (--lenient goes on without it)' : ''
  return `${printRemark(places, remark)}${hint}`
}

/** `haproxy.cfg:12: timeout clent: unknown directive; did you mean timeout client?` */
export function printRemark(places: FilePlaces, { line, about, says }: Omit<Remark, 'severity'>): string {
  return `${placeOf(places, line)}: ${about}: ${says}`
}

/** `haproxy.cfg:12`. */
export function placeOf(places: FilePlaces, line: number): string {
  const place = places.findLast(({ before }) => before < line)
  return `${place?.file ?? ''}:${line - (place?.before ?? 0)}`
}
