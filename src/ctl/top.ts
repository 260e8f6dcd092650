// `top`: the cluster live: members, proxies, what happened last. On a screen it is drawn over itself, line by line, so that
// nothing flickers; elsewhere it is plain text.

import { asInteger, isObject, type Json, type JsonObject } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import { messageOf } from '../platform/errors.ts'
import { colourTables } from './colour.ts'
import { type CtlContext, readCluster, scopeOf } from './context.ts'
import { collect, type ToldEvent } from './events.ts'
import { printClusters } from './list.ts'
import { type ProxyStatus, proxiesOf } from './proxies.ts'
import { type Column, printTable } from './table.ts'
import { plainTime } from './time.ts'

export interface TopOptions {
  readonly everySeconds: number
  /** Frames to print; undefined: until interrupted on a screen, one elsewhere. */
  readonly frames: number | undefined
}

const EVENTS_SHOWN = 10
const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
const OTHER_SCREEN = '\u001b[?1049h'
const FIRST_SCREEN = '\u001b[?1049l'
const HOME = '\u001b[H'
const TO_LINE_END = '\u001b[K'
const TO_SCREEN_END = '\u001b[J'

/** Shows frames until interrupted, or as many as asked for. */
export async function top(
  context: CtlContext,
  name: string | undefined,
  { everySeconds, frames }: TopOptions,
): Promise<void> {
  const scope = scopeOf(context, name)
  const { terminal, clock, signal } = context
  const count = frames ?? (terminal.isScreen ? Number.POSITIVE_INFINITY : 1)
  if (terminal.isScreen) terminal.print(OTHER_SCREEN + HIDE_CURSOR)
  try {
    for (let shown = 0; shown < count && !signal.aborted; shown += 1) {
      if (shown > 0) await clock.sleep(everySeconds * 1000, signal).catch(() => {})
      if (signal.aborted) return
      const text = await frame(context, scope)
      terminal.print(terminal.isScreen ? overdraw(text, terminal.size, terminal.hasColours) : text)
    }
  } finally {
    if (terminal.isScreen) terminal.print(SHOW_CURSOR + FIRST_SCREEN)
  }
}

/** One frame as plain text; a store that does not answer is told in the frame, not by the end of the command. */
async function frame(context: CtlContext, scope: string): Promise<string> {
  const now = plainTime(context.clock.wallMs())
  try {
    const view = await readCluster(context, scope)
    const [proxies, events] = await Promise.all([
      proxiesOf(context, view),
      collect(context, view, EVENTS_SHOWN, false),
    ])
    return printFrame(now, scope, view, proxies, events)
  } catch (error) {
    return `${now}  ${scope}\n${messageOf(error)}\n`
  }
}

/** Pure. */
export function printFrame(
  now: string,
  scope: string,
  view: ClusterView,
  proxies: readonly ProxyStatus[],
  events: readonly ToldEvent[],
): string {
  const options = { format: 'pretty', extended: false, timestamp: false, topology: false } as const
  const members = printClusters([[scope, view]], { ...options, everySeconds: undefined })
  const leader = view.leader === undefined ? 'nobody leads' : `${view.leader.name} leads`
  const lines = events.map(({ wallMs, source, says }) => `${plainTime(wallMs)} ${source} ${says}\n`)
  return [
    `${now}  ${scope}: ${leader}\n`,
    members,
    proxies.length === 0 ? 'No proxy is registered\n' : printProxies(proxies),
    lines.length === 0 ? '' : `Last events\n${lines.join('')}`,
  ].join('')
}

const PROXY_COLUMNS: readonly Column[] = [
  { title: 'Proxy', align: 'left' },
  { title: 'Listener', align: 'left' },
  { title: 'Pool', align: 'left' },
  { title: 'Leads to', align: 'left' },
  { title: 'Sessions', align: 'right' },
  { title: 'Waiting', align: 'right' },
]

function printProxies(proxies: readonly ProxyStatus[]): string {
  return printTable(PROXY_COLUMNS, proxies.flatMap(proxyRows))
}

function proxyRows({ name, admin, status }: ProxyStatus): readonly (readonly string[])[] {
  if (status === undefined) return [[name, `does not answer at ${admin}`, '', '', '', '']]
  const listeners = asObjects(status['listeners'])
  const write = status['write']
  const leader = isObject(write) ? String(write['member'] ?? '') : 'nobody'
  const reads = Array.isArray(status['reads']) ? status['reads'].map(String).join(', ') : ''
  return listeners.map((listener, index) => [
    index === 0 ? name : '',
    `${String(listener['name'])} ${String(listener['bind'])}`,
    String(listener['pool']),
    listener['pool'] === 'leader' ? leader : reads,
    String(asInteger(listener['sessions']) ?? 0),
    String(asInteger(listener['held']) ?? 0),
  ])
}

function asObjects(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** The frame over the one before: each line is written and cleared to its end, what is left below is cleared. Pure. */
export function overdraw(
  text: string,
  size: { readonly columns: number; readonly rows: number },
  hasColours = false,
): string {
  const lines = text
    .replace(/\n$/, '')
    .split('\n')
    .slice(0, Math.max(1, size.rows - 1))
  const cut = lines.map(line => line.slice(0, size.columns))
  const shown = cut.map(line => `${hasColours ? colourTables(line) : line}${TO_LINE_END}`)
  return `${HOME}${shown.join('\r\n')}\r\n${TO_SCREEN_END}`
}
