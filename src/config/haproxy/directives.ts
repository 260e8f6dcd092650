// The directives of defaults, listen, frontend and backend sections: what each changes in the draft.

import type { AccessRule, Balance } from '../proxy/types.ts'
import { readBind } from './bind.ts'
import { checkDirectives } from './check-directives.ts'
import { isAboutPaths, onlySources, readAcl, readRules } from './conditions.ts'
import type { Reading, ServerDraft, TimeoutName } from './draft.ts'
import { readServerWords } from './server-words.ts'
import { DURATION_MS_MAX, readAddress, readDurationMs, readWhole } from './values.ts'

export interface Directive {
  readonly read?: (reading: Reading) => void
  /** Accepted, and why nothing follows from it. */
  readonly inert?: string
  /** Cannot be done: the file would mean something else than it says. */
  readonly refused?: string
}

/** Options that HAProxy itself does not take back with `no` before them. */
const TOO_LATE = /^option (?:httpchk|tcp-check|pgsql-check|tcpka|httplog|tcplog|.*-check|smtpchk|forwardfor)$/

/** May `no` stand before this directive? */
export function takesNo(name: string): boolean {
  return name === 'log' || (name.startsWith('option ') && !TOO_LATE.test(name))
}

const wrong = (reading: Reading, about: string, expected: string) =>
  reading.remark({ about, says: `expected ${expected}`, severity: 'error' })

/** 0 is no limit, whatever defaults said. A connection attempt has one of ours when nothing is said, so this is said. */
function timeout(name: TimeoutName): Directive {
  return {
    read: reading => {
      const { draft, line, words } = reading
      const ms = readDurationMs(words[0] ?? '')
      if (ms === undefined) wrong(reading, `timeout ${name}`, 'a duration such as 30m, 4s or 500ms')
      else if (ms === 0 && name !== 'connect') delete draft.timeouts[name]
      else draft.timeouts[name] = { ms: ms === 0 ? DURATION_MS_MAX : ms, line }
    },
  }
}

function whole(about: string, set: (reading: Reading, value: number) => void): Directive {
  return {
    read: reading => {
      const value = readWhole(reading.words[0] ?? '')
      if (value === undefined) wrong(reading, about, 'a whole number')
      else set(reading, value)
    },
  }
}

function set(change: (reading: Reading) => void): Directive {
  return { read: change }
}

const inert = (why: string): Directive => ({ inert: why })
const refused = (why: string): Directive => ({ refused: why })
/** What it asks for is always so, or asks for nothing that others could see. */
const fine: Directive = {}

const ownLog = 'pgherd logs to its standard error, for journald to keep'
const tcpOnly = 'it belongs to HTTP; sessions here are PostgreSQL’s'
const noTable = 'there are no tables of clients here'

function keepAlive(change: (draft: Reading['draft'], isOn: boolean) => void): Directive {
  return set(({ draft, words }) => change(draft, words[0] !== 'no'))
}

/** A number alone is in seconds; 0 leaves it to the system. */
function idle(about: string, name: 'clientIdleMs' | 'serverIdleMs'): Directive {
  return set(reading => {
    const ms = readDurationMs(reading.words[0] ?? '', 's')
    if (ms === undefined) wrong(reading, about, 'a duration such as 30 or 30s')
    else reading.draft.keepsAlive[name] = ms === 0 ? undefined : ms
  })
}

function readBalance(reading: Reading): void {
  const [algorithm = ''] = reading.words
  const random = /^random(?:\((\d{1,4})\))?$/.exec(algorithm)
  const simple: Readonly<Record<string, Balance>> = {
    roundrobin: { kind: 'roundrobin' },
    'static-rr': { kind: 'roundrobin' },
    leastconn: { kind: 'leastconn' },
    first: { kind: 'first' },
    source: { kind: 'source' },
  }
  const balance: Balance | undefined =
    random === null ? simple[algorithm] : { kind: 'random', draws: Math.max(1, Number(random[1] ?? 2)) }
  if (balance === undefined) {
    const expected = 'roundrobin, static-rr, leastconn, first, source or random(N)'
    reading.remark({ about: `balance ${algorithm}`, says: `expected ${expected}`, severity: 'unknown' })
  } else reading.draft.balance = balance
}

function readServer(reading: Reading): void {
  const { draft, line } = reading
  const [name = '', address = '', ...words] = reading.words
  const found = readAddress(address)
  if (name === '' || found === undefined) {
    wrong(reading, `server ${name}`, 'a name and an address, such as pg1 10.0.0.1:5432')
    return
  }
  const parameters: ServerDraft = { ...draft.defaultServer }
  readServerWords(reading, words, parameters)
  draft.servers.push({ name, line, host: found.host, port: found.port ?? 0, parameters })
}

function readTcpRequest(reading: Reading): void {
  const [place = '', action = '', ...condition] = reading.words
  const about = `tcp-request ${place} ${action}`
  if (place === 'inspect-delay') return
  const { draft, remark } = reading
  const isLevel = place === 'connection' || place === 'content' || place === 'session'
  const isAction = action === 'accept' || action === 'reject'
  const rules = isLevel && isAction ? readRules(reading, action, condition) : undefined
  if (!isLevel || rules === undefined) remark({ about, says: onlySources, severity: 'unknown' })
  else if (draft.kind === 'backend' && place !== 'content')
    remark({ about, says: 'a backend has rules of the level content alone', severity: 'error' })
  else draft.rules[place].push(...rules)
}

const HTTP_ACTIONS: Readonly<Record<string, AccessRule['action']>> = {
  allow: 'accept',
  deny: 'reject',
  reject: 'reject',
  tarpit: 'reject',
  'silent-drop': 'reject',
}

/** What keeps people out of a status page counts there; everything else is about HTTP. */
function readHttpRequest(reading: Reading): void {
  const { draft, line } = reading
  const [name = '', ...words] = reading.words
  if (name === 'use-service' && words[0] === 'prometheus-exporter') {
    readExporter(reading, words.slice(1))
    return
  }
  const action = HTTP_ACTIONS[name]
  if (action === undefined && name !== 'auth') {
    reading.remark({ about: 'http-request', says: `has no effect: ${tcpOnly}`, severity: 'warning' })
    return
  }
  const condition = words.slice(
    Math.max(
      0,
      words.findIndex(word => word === 'if' || word === 'unless'),
    ),
  )
  const isBare = !['if', 'unless'].includes(condition[0] ?? '')
  const rules = action === undefined ? undefined : readRules(reading, action, isBare ? [] : condition)
  draft.httpRules.push({ line, about: `http-request ${name}`, rules })
}

/** HAProxy's own metrics: the status page has ours, at /metrics. A condition about more than the path is a guard. */
function readExporter({ draft, line, remark }: Reading, condition: readonly string[]): void {
  const about = 'http-request use-service'
  draft.isStats = true
  if (!isAboutPaths(condition, draft)) draft.httpRules.push({ line, about, rules: undefined })
  const says =
    'becomes a status page: /metrics is there, but its names begin with pgherd_proxy_ (docs/metrics.md)'
  remark({ about, says, severity: 'warning' })
}

function readStatsAuth({ draft, words, remark }: Reading): void {
  const [user = ''] = words
  draft.isStats = true
  if (/^[^:]+:./.test(user)) draft.statsUsers.push(user)
  else remark({ about: 'stats auth', says: 'expected name:password', severity: 'error' })
}

/** Directives by their first word or two words; the longer name is looked for first. */
export const directives: Readonly<Record<string, Directive>> = {
  ...checkDirectives,
  mode: set(reading => {
    const [mode] = reading.words
    if (mode === 'tcp' || mode === 'http') reading.draft.mode = mode
    else wrong(reading, 'mode', 'tcp, or http for the status page')
  }),
  bind: { read: readBind },
  // 0: as many as global says.
  maxconn: whole('maxconn', ({ draft }, value) => {
    draft.maxconn = value === 0 ? undefined : value
  }),
  retries: whole('retries', ({ draft }, value) => {
    draft.retries = value
  }),
  'timeout client': timeout('client'),
  'timeout server': timeout('server'),
  'timeout connect': timeout('connect'),
  'timeout queue': timeout('queue'),
  'timeout check': timeout('check'),
  'timeout tunnel': timeout('tunnel'),
  'timeout client-fin': timeout('client-fin'),
  'timeout server-fin': timeout('server-fin'),
  'timeout http-request': inert(tcpOnly),
  'timeout http-keep-alive': inert(tcpOnly),
  'timeout tarpit': inert(tcpOnly),
  balance: { read: readBalance },
  server: { read: readServer },
  'default-server': set(reading => readServerWords(reading, reading.words, reading.draft.defaultServer)),
  'server-template': refused('servers from DNS are not there: list them, or name etcd with --etcd'),
  default_backend: set(({ draft, words, line }) => {
    draft.defaultBackend = { name: words[0] ?? '', line }
  }),
  use_backend: refused('sessions go by port: give each backend a frontend of its own'),
  'use-server': refused('sessions go by port and balance'),
  acl: { read: readAcl },
  'tcp-request': { read: readTcpRequest },
  'tcp-response': refused(onlySources),
  'rate-limit sessions': whole('rate-limit sessions', ({ draft }, value) => {
    draft.perSecond = value === 0 ? undefined : value
  }),
  source: set(({ draft, words }) => {
    draft.source = readAddress(words[0] ?? '')?.host
  }),
  disabled: set(({ draft }) => {
    draft.isDisabled = true
  }),
  enabled: set(({ draft }) => {
    draft.isDisabled = false
  }),
  fullconn: inert('the limit of a server does not move with the load'),
  backlog: inert('the queue of the kernel has 4096 places'),
  'stats enable': set(({ draft }) => {
    draft.isStats = true
  }),
  'stats uri': set(({ draft, words: [prefix] }) => {
    draft.isStats = true
    draft.statsUri = prefix ?? draft.statsUri
  }),
  'stats refresh': fine,
  'stats realm': set(({ draft, words }) => {
    draft.statsRealm = words.join(' ')
  }),
  'stats auth': { read: readStatsAuth },
  'stats http-request': { read: readHttpRequest },
  'stats admin': inert('the status page changes nothing'),
  'stats hide-version': fine,
  'stats show-legends': fine,
  'stats show-node': fine,
  'stats show-desc': fine,
  'stats scope': fine,
  'option tcplog': inert(ownLog),
  'option httplog': inert(ownLog),
  'option dontlognull': inert(ownLog),
  'option dontlog-normal': inert(ownLog),
  'option logasap': inert(ownLog),
  'option log-separate-errors': inert(ownLog),
  'option log-health-checks': inert('changes of a server are told, single checks are not'),
  'option tcpka': keepAlive((draft, isOn) => Object.assign(draft.keepsAlive, { client: isOn, server: isOn })),
  'option clitcpka': keepAlive((draft, isOn) => {
    draft.keepsAlive.client = isOn
  }),
  'option srvtcpka': keepAlive((draft, isOn) => {
    draft.keepsAlive.server = isOn
  }),
  'clitcpka-idle': idle('clitcpka-idle', 'clientIdleMs'),
  'srvtcpka-idle': idle('srvtcpka-idle', 'serverIdleMs'),
  'clitcpka-intvl': inert('the kernel’s own interval counts'),
  'clitcpka-cnt': inert('the kernel’s own count counts'),
  'srvtcpka-intvl': inert('the kernel’s own interval counts'),
  'srvtcpka-cnt': inert('the kernel’s own count counts'),
  // A session whose server refuses goes to another one at once, always.
  'option redispatch': fine,
  'option allbackups': set(({ draft, words }) => {
    draft.allBackups = words[0] !== 'no'
  }),
  // A client that hangs up frees its place at once, always.
  'option abortonclose': fine,
  'option splice-auto': fine,
  'option splice-request': fine,
  'option splice-response': fine,
  'option tcp-smart-accept': fine,
  'option tcp-smart-connect': fine,
  'option nolinger': inert('connections end with FIN, so that clients can read the last message'),
  'option contstats': fine,
  'option httpclose': inert(tcpOnly),
  'option http-server-close': inert(tcpOnly),
  'option http-keep-alive': inert(tcpOnly),
  'option forwardfor': inert(tcpOnly),
  'option http-use-htx': inert(tcpOnly),
  'option socket-stats': fine,
  'option independent-streams': fine,
  'option spop-check': refused('this kind of check is not there'),
  'option mysql-check': refused('this kind of check is not there'),
  'option redis-check': refused('this kind of check is not there'),
  'option smtpchk': refused('this kind of check is not there'),
  'option ldap-check': refused('this kind of check is not there'),
  'option external-check': refused('this kind of check is not there'),
  log: inert(ownLog),
  'log-format': inert(ownLog),
  'log-tag': inert(ownLog),
  'error-log-format': inert(ownLog),
  'unique-id-format': inert(ownLog),
  'load-server-state-from-file': inert('a server takes nothing before its first good check'),
  'hash-type': inert('the source is hashed over the weights'),
  'stick-table': inert(noTable),
  stick: inert(noTable),
  'http-request': { read: readHttpRequest },
  'http-response': inert(tcpOnly),
  'http-reuse': inert(tcpOnly),
  cookie: inert(tcpOnly),
  errorfile: inert(tcpOnly),
  'http-errors': inert(tcpOnly),
  compression: inert(tcpOnly),
  description: fine,
  id: fine,
  'bind-process': inert('there is one process'),
  'email-alert': inert('events are in the log and on the status port'),
}
