// The plain status page: who leads, who serves reads, what happened. No script, no outside file.

import { printBinds } from '../../config/proxy/types.ts'
import { unknownHealth } from '../../health/verdict.ts'
import type { Listener } from '../listener.ts'
import type { RosterMember } from '../roster.ts'
import { roleOf, type StatusParts } from './status.ts'

const REFRESH_SECONDS = 2
const EVENTS_SHOWN = 20

const STYLE = `body{font:14px sans-serif;margin:1.5em}table{border-collapse:collapse;margin:0 0 1.5em}
td,th{border:1px solid #999;padding:.25em .7em;text-align:left}th{background:#e8e8d0}
.leader,.replica{background:#c0ffc0}.leaving{background:#ffffa0}.none{background:#ff9090}`

/** The whole page as HTML. */
export function renderPage(parts: StatusParts): string {
  const { router, listeners, name } = parts
  const scope = escapeHtml(parts.scope())
  const waits = router.table.write?.takesNew === true ? '' : `<p><b>${escapeHtml(router.explain())}</b></p>`
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>pgherd proxy: ${scope}</title>
<meta http-equiv="refresh" content="${REFRESH_SECONDS}"><style>${STYLE}</style></head><body>
<h1>${scope}</h1><p>proxy ${escapeHtml(name)}, version ${escapeHtml(parts.version)}</p>${waits}
${memberTable(parts)}
${table(['listener', 'address', 'pool', 'sessions', 'held', 'accepted'], listeners.map(listenerRow))}
${table(['time', 'event'], eventRows(parts))}
</body></html>
`
}

function memberTable(parts: StatusParts): string {
  const members = [...parts.router.members.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  const rows = members.map(member => memberRow(member, parts))
  const names = ['member', 'takes', 'server', 'address', 'timeline', 'last answer', 'sessions']
  return table(names, rows)
}

function memberRow(member: RosterMember, { router, clock }: StatusParts): string {
  const { answer, silence } = router.health.get(member.name) ?? unknownHealth
  const role = roleOf(member, router)
  const takes: Readonly<Record<string, string>> = {
    leader: 'writes',
    leaving: 'no new sessions',
    replica: 'reads',
    none: 'nothing',
  }
  const ageMs = answer === undefined ? undefined : clock.monotonicMs() - answer.receivedAtMs
  const lastAnswer = silence ?? (ageMs === undefined ? 'never' : `${(ageMs / 1000).toFixed(1)} s ago`)
  const cells = [
    member.name,
    takes[role] ?? role,
    answer === undefined ? 'unknown' : `${answer.role}, ${answer.state}`,
    `${member.address.host}:${member.address.port}`,
    String(answer?.timeline ?? ''),
    lastAnswer,
    String(router.backends.get(member.name)?.sessions.size ?? 0),
  ]
  return row(cells, role)
}

function listenerRow({ config, sessions, sessionsMax, hold, acceptedTotal }: Listener): string {
  const { name, binds, pool, onNoBackend } = config
  const counts = [`${sessions.size} of ${sessionsMax}`, `${hold.size} of ${onNoBackend.heldMax}`]
  return row([name, printBinds(binds), pool, ...counts, String(acceptedTotal)])
}

function eventRows({ events }: StatusParts): readonly string[] {
  const newestFirst = [...events.last(EVENTS_SHOWN)].reverse()
  return newestFirst.map(event => row([new Date(event.wallMs).toISOString(), event.says]))
}

function table(names: readonly string[], rows: readonly string[]): string {
  const head = names.map(name => `<th>${escapeHtml(name)}</th>`).join('')
  return `<table><tr>${head}</tr>${rows.join('')}</table>`
}

function row(cells: readonly string[], kind?: string): string {
  const inner = cells.map(cell => `<td>${escapeHtml(cell)}</td>`).join('')
  return kind === undefined ? `<tr>${inner}</tr>` : `<tr class="${kind}">${inner}</tr>`
}

function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, char => entities[char] ?? char)
}
