// Draws the picture as lines of a terminal. Pure: the same picture and size give the same lines.

import type { LoadPicture, MemberPicture, Picture, ProxyPicture, Pulse } from './picture.ts'
import { clip, type Line, pad, type Style, span, wrap } from './text.ts'
import { bytes, count, seconds, upTime } from './words.ts'

/** The terminal's size, and whether it can be trusted with more than ASCII. */
export interface Canvas {
  readonly columns: number
  readonly rows: number
  readonly isUnicode: boolean
}

const BLANK: Line = []
const LEASE_CELLS = 5
/** Below this height some blank lines give way to the story. */
const ROWS_EASY = 28
/** Columns of the tables. */
const NAME = 8
const ROLE = 9
const STATE = 21
const TIMELINE = 9
const LAG = 10
const ANSWERS_SHOWN = 6
const GRAPH_COLUMNS_MAX = 40
/** What stands beside the graph. */
const GRAPH_MARGIN = 56
/** A full bar is this much higher than the usual rate, so that ordinary noise stays in the middle. */
const HEADROOM = 1.6

const HELP: readonly string[] = [
  'k  kill every process of the leader: its agent and its server, as in a power cut',
  'a  kill only its agent: the server goes on alone, until the others may take over',
  'f  freeze everything on its host, thaw it later: it wakes up in the past',
  's  switchover: the leader hands over in good order',
  '?  this help     q  quit; Ctrl-C does the same. Everything is removed, always.',
  'What was killed or frozen comes back by itself a few seconds after the failover.',
]

/** All lines of the screen, at most `rows`, none longer than `columns`. The last one names the keys. */
export function draw(picture: Picture, canvas: Canvas): readonly Line[] {
  const air = canvas.rows < ROWS_EASY ? [] : [BLANK]
  const top = [
    ...header(picture, canvas),
    BLANK,
    ...members(picture, canvas),
    BLANK,
    ...proxies(picture, canvas),
    ...air,
    ...clients(picture.load, canvas),
    BLANK,
  ]
  const bottom = [BLANK, ...commands(picture), ...air, keys(picture)]
  const free = canvas.rows - top.length - bottom.length
  const body = picture.showsHelp ? help() : story(picture, canvas, Math.max(free, 2))
  const filler = Array.from({ length: Math.max(0, free - body.length) }, () => BLANK)
  return fit([...top, ...body, ...filler, ...bottom], canvas)
}

/** In a terminal that is too small, blank lines go first; then what stands above the last line. */
function fit(lines: readonly Line[], { columns, rows }: Canvas): readonly Line[] {
  const dense = lines.length <= rows ? lines : lines.filter(line => line.length > 0)
  const kept = dense.length <= rows ? dense : [...dense.slice(0, Math.max(0, rows - 1)), ...dense.slice(-1)]
  return kept.map(line => clip(line, columns))
}

function header({ upMs, ttlSeconds, busy }: Picture, { isUnicode }: Canvas): readonly Line[] {
  const dot = isUnicode ? ' · ' : ' - '
  const now = busy === undefined ? span('one cluster, one endpoint', 'dim') : span(busy, 'yellow')
  const quiet = `${dot}lease ${ttlSeconds} s${dot}up ${upTime(upMs)}`
  return [[span(' pgherd demo', ['bold', 'green']), span(dot, 'dim'), now, span(quiet, 'dim')]]
}

function members({ members: all, ttlSeconds }: Picture, canvas: Canvas): readonly Line[] {
  const widths = [
    [NAME, 'member'],
    [ROLE, 'role'],
    [STATE, 'state'],
    [TIMELINE, 'timeline'],
    [LAG, 'lag'],
  ] as const
  const width = Math.max(...all.map(({ address }) => address.length))
  const title = `   ${widths.map(([columns, text]) => pad(text, columns)).join('')}${pad('address', width)}  lease`
  return [[span(title, 'dim')], ...all.map(member => memberLine(member, ttlSeconds, canvas))]
}

function memberLine(member: MemberPicture, ttlSeconds: number, canvas: Canvas): Line {
  const { name, role, timeline, lagBytes, address, leaseLeftMs } = member
  const quiet: Style = member.pulse === 'up' ? 'reset' : 'dim'
  const lag = lagBytes === undefined ? '-' : bytes(lagBytes)
  return [
    span(` ${glyph(member.pulse, canvas)} `, pulseStyle(member.pulse)),
    span(pad(name, NAME), member.role === 'leader' ? 'bold' : quiet),
    span(pad(role === '' ? '-' : role, ROLE), roleStyle(role)),
    span(pad(stateText(member), STATE), member.pulse === 'up' ? stateStyle(member.state) : 'yellow'),
    span(pad(String(timeline ?? '-'), TIMELINE), quiet),
    span(pad(lag, LAG), quiet),
    span(address, 'dim'),
    ...(leaseLeftMs === undefined ? [] : lease(leaseLeftMs, ttlSeconds, canvas)),
  ]
}

function stateText({ pulse, state }: MemberPicture): string {
  const told: Readonly<Record<Pulse, string>> = {
    up: state === '' ? '-' : state,
    silent: 'does not answer',
    unguarded: 'server without agent',
    frozen: 'frozen',
    down: 'no process',
  }
  return told[pulse]
}

function glyph(pulse: Pulse, { isUnicode }: Canvas): string {
  const drawn: Readonly<Record<Pulse, readonly [string, string]>> = {
    up: ['●', '*'],
    silent: ['◌', '?'],
    unguarded: ['◑', '!'],
    frozen: ['‖', '='],
    down: ['○', 'o'],
  }
  return drawn[pulse][isUnicode ? 0 : 1]
}

function pulseStyle(pulse: Pulse): Style {
  if (pulse === 'up') return 'green'
  return pulse === 'down' ? 'red' : 'yellow'
}

function roleStyle(role: string): Style {
  if (role === 'leader') return ['bold', 'green']
  // A primary that does not lead: out of recovery, without the key.
  return role === 'primary' || role === 'master' ? 'red' : 'cyan'
}

function stateStyle(state: string): Style {
  return state === 'running' || state === 'streaming' ? 'reset' : 'yellow'
}

function lease(leftMs: number, ttlSeconds: number, { isUnicode }: Canvas): Line {
  const full = Math.round((leftMs / 1000 / ttlSeconds) * LEASE_CELLS)
  const cells = Math.min(LEASE_CELLS, Math.max(0, full))
  const [on, off] = isUnicode ? ['▮', '▯'] : ['#', '.']
  const style = cells * 3 < LEASE_CELLS ? 'red' : 'green'
  return [span('  '), span(on.repeat(cells), style), span(off.repeat(LEASE_CELLS - cells), 'dim')]
}

function proxies({ proxies: all }: Picture, canvas: Canvas): readonly Line[] {
  const title = `   ${pad('proxy', NAME)}${pad('writes', ROLE)}${pad('sessions', STATE)}${pad('held', TIMELINE)}address`
  return [[span(title, 'dim')], ...all.map(proxy => proxyLine(proxy, canvas))]
}

function proxyLine(proxy: ProxyPicture, canvas: Canvas): Line {
  const { isUp, leader, writeSessions, readSessions, held } = proxy
  const style: Style = leader === undefined ? 'yellow' : 'green'
  const where = isUp ? (leader ?? 'nobody') : 'no answer'
  const sessions = `${writeSessions} write, ${readSessions} read`
  return [
    span(` ${glyph(isUp ? 'up' : 'silent', canvas)} `, style),
    span(pad(proxy.name, NAME)),
    span(pad(where, ROLE), style),
    span(pad(sessions, STATE)),
    span(pad(String(held), TIMELINE), held > 0 ? 'yellow' : 'reset'),
    span(`${proxy.address}  :${proxy.writePort} :${proxy.readPort}`, 'dim'),
  ]
}

function clients(load: LoadPicture | undefined, canvas: Canvas): readonly Line[] {
  if (load === undefined) return [[span('   the clients have not begun yet', 'dim')]]
  const rate = `${pad(count(load.ratePerSecond), -4)} rows/s`
  const gap = `longest wait ${seconds(load.longestGapMs)}`
  const rows = `${count(load.acknowledged)} rows`
  const answers = load.answers.slice(-ANSWERS_SHOWN)
  return [
    [span('   writers '), ...graph(load.samples, canvas), span(` ${rate}`), span(`  ${gap}  ${rows}`, 'dim')],
    [
      span('   reader  '),
      span(answers.slice(0, -1).join(' '), 'dim'),
      span(` ${answers.at(-1) ?? ''}`, 'cyan'),
      span('  who answered, newest last', 'dim'),
    ],
  ]
}

/** A small chart of the rate; a slice of time in which nobody was served is a red dot on the ground. */
function graph(samples: readonly number[], { isUnicode, columns }: Canvas): Line {
  const width = Math.min(GRAPH_COLUMNS_MAX, Math.max(0, columns - GRAPH_MARGIN))
  const steps = isUnicode ? '▁▂▃▄▅▆▇█' : '.:-=+*#@'
  const shown = width === 0 ? [] : samples.slice(-width)
  const usual = [...samples].sort((left, right) => left - right)[Math.floor(samples.length / 2)] ?? 1
  const top = Math.max(1, usual) * HEADROOM
  const bars = shown.map(rows => {
    const step = Math.min(steps.length - 1, Math.floor((rows / top) * steps.length))
    return rows === 0 ? span(isUnicode ? '·' : '_', 'red') : span(steps[step] ?? '', 'green')
  })
  return [...bars, span(' '.repeat(width - shown.length))]
}

function story({ story: chapters }: Picture, { columns }: Canvas, lines: number): readonly Line[] {
  if (chapters.length === 0) return [[span('   All is well. Press k and see what happens.', 'dim')]]
  const isLast = (index: number) => index === chapters.length - 1
  const all = chapters.flatMap(({ time, says }, index) =>
    wrap(says, columns - 13).map(
      (text, row): Line => [
        span(`   ${row === 0 ? time : ' '.repeat(time.length)}  `, 'dim'),
        span(text, isLast(index) ? 'bold' : 'reset'),
      ],
    ),
  )
  return all.slice(-lines)
}

function help(): readonly Line[] {
  return HELP.map(text => [span(`   ${text}`)])
}

function commands({ commands: all }: Picture): readonly Line[] {
  const width = Math.max(...all.map(({ what }) => what.length)) + 2
  return all.map(({ what, line }) => [span(`   ${pad(what, width)}`, 'dim'), span(line)])
}

function keys({ busy }: Picture): Line {
  const faults: readonly (readonly [string, string])[] = [
    ['k', 'kill leader'],
    ['a', 'kill agent'],
    ['f', 'freeze host'],
    ['s', 'switchover'],
  ]
  const always: readonly (readonly [string, string])[] = [
    ['?', 'help'],
    ['q', 'quit'],
  ]
  const shown = ([key, what]: readonly [string, string], isDim: boolean): Line => [
    span(`  ${key}`, isDim ? 'dim' : ['bold', 'cyan']),
    span(` ${what}`, isDim ? 'dim' : 'reset'),
  ]
  const line = [
    ...faults.flatMap(pair => shown(pair, busy !== undefined)),
    ...always.flatMap(pair => shown(pair, false)),
  ]
  return [span(' '), ...line]
}
