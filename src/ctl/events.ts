// `events`: what happened in the cluster, told by its members and proxies, in one order.

import { asText, isObject, type Json, type JsonObject, parseJson } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import { membersOf } from './choose.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { type Format, printObjects } from './formats.ts'
import { callMember } from './member-call.ts'
import { proxiesOf } from './proxies.ts'
import { printTable } from './table.ts'
import { plainTime } from './time.ts'

export interface EventsOptions {
  readonly count: number
  readonly format: Format
  /** Go on and print what comes. */
  readonly follow: boolean
}

/** One event as its teller sent it. */
export interface ToldEvent {
  readonly wallMs: number
  readonly source: string
  readonly kind: string
  readonly says: string
  readonly raw: JsonObject
}

const ASK_MS = 3_000
const FOLLOW_MS = 1_000
const SEEN_MAX = 20_000

/** Prints the newest events; members that do not tell any (other programs, or silent ones) are named on standard error. */
export async function events(
  context: CtlContext,
  name: string | undefined,
  { count, format, follow }: EventsOptions,
): Promise<void> {
  const scope = scopeOf(context, name)
  const { terminal, clock, signal } = context
  const first = await collect(context, await readCluster(context, scope), count, true)
  terminal.print(printEvents(first, format))
  const seen = new Set(first.map(identityOf))
  while (follow && !signal.aborted) {
    const isOver = await clock.sleep(FOLLOW_MS, signal).then(
      () => false,
      () => true,
    )
    if (isOver) return
    const now = await collect(context, await readCluster(context, scope), count, false)
    const fresh = now.filter(event => !seen.has(identityOf(event)))
    if (seen.size > SEEN_MAX) seen.clear()
    for (const event of now) seen.add(identityOf(event))
    for (const { wallMs, source, kind, says } of fresh)
      terminal.print(`${plainTime(wallMs)} ${source} ${kind}: ${says}\n`)
  }
}

/** The newest `count` events of all that answer, oldest first. */
export async function collect(
  context: CtlContext,
  view: ClusterView,
  count: number,
  complains: boolean,
): Promise<readonly ToldEvent[]> {
  const members = await Promise.all(
    membersOf(view, 'any').map(async member => {
      const endpoint = `pgherd/events?count=${count}`
      const { code, text } = await callMember(context, member, 'GET', endpoint, undefined, ASK_MS)
      const told = code === 200 ? readEvents(parseJson(text)) : undefined
      if (told === undefined && complains)
        context.terminal.warn(
          `${member.name} tells no events (${code === 0 ? text : `status code ${code}`})\n`,
        )
      return told ?? []
    }),
  )
  const proxies = await proxiesOf(context, view)
  const all = [
    ...members.flat(),
    ...proxies.flatMap(({ name, status }) => readEvents(status?.['events'], name) ?? []),
  ]
  return all.sort((a, b) => a.wallMs - b.wallMs).slice(-count)
}

/** Undefined when it is no list of events. `teller` stands in for a missing source. Pure. */
export function readEvents(value: Json | undefined, teller = ''): readonly ToldEvent[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.flatMap((raw: Json) => {
    if (!isObject(raw)) return []
    const time = asText(raw['time'])
    const wallMs = time === undefined ? Number(raw['wall_ms'] ?? Number.NaN) : Date.parse(time)
    if (Number.isNaN(wallMs)) return []
    const source = asText(raw['source']) ?? teller
    return [{ wallMs, source, kind: asText(raw['kind']) ?? '', says: asText(raw['says']) ?? '', raw }]
  })
}

/** Pure. */
export function printEvents(told: readonly ToldEvent[], format: Format): string {
  const rows = told.map(({ wallMs, source, kind, says }) => [plainTime(wallMs), source, kind, says])
  const titles = ['Time', 'Source', 'Kind', 'Event']
  if (format === 'tsv') return [titles, ...rows].map(row => `${row.join('\t')}\n`).join('')
  if (format === 'pretty')
    return printTable(
      titles.map(title => ({ title, align: 'left' })),
      rows,
    )
  return printObjects(
    format,
    told.map(({ raw }) => raw),
  )
}

function identityOf({ source, wallMs, kind, says }: ToldEvent): string {
  return `${source} ${wallMs} ${kind} ${says}`
}
