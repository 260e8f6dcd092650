import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import { isHaproxyText, loadHaproxy, parseHaproxy, printRemark } from '../../../../src/config/haproxy/load.ts'
import type { Bind, ListenerConfig } from '../../../../src/config/proxy/types.ts'

const SEED = path.resolve(import.meta.dirname, '../../../fixtures/seed/haproxy.cfg')

function parse(text: string, lenient = false) {
  return parseHaproxy(text, 'h.cfg', { lenient, env: { PORT: '5000' } })
}

/** A section for the leader around some lines. */
function section(lines: string): string {
  return `listen w\n  bind *:5000\n${lines}\n  server pg1 10.0.0.1:5432 check port 8008\n`
}

function listener(lines: string): ListenerConfig {
  const [first] = parse(section(lines)).config.listeners
  assert.ok(first)
  return first
}

function v6(port: number): Bind {
  return { host: '::', port, ipv6Only: true }
}

function mistake(text: string): string {
  try {
    parse(text)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('no mistake was found')
}

test('the seed’s haproxy.cfg loads byte for byte: ports, roles, timings and limits as they stand in it', async () => {
  const { config, remarks } = await loadHaproxy([SEED], { lenient: false })
  const [write, read] = config.listeners
  assert.ok(write && read)
  assert.deepEqual(
    [config.compat, config.connectionsMax, config.admin.binds, config.discovery],
    ['haproxy', 100, [{ host: '0.0.0.0', port: 7000 }], { kind: 'static', leaderListener: 'pgsql' }],
  )
  assert.deepEqual(
    [write.pool, read.pool, write.binds[0]?.port, read.binds[0]?.port],
    ['leader', 'servers', 5000, 6000],
  )
  const { timeouts } = write
  assert.deepEqual(
    [timeouts.clientMs, timeouts.serverMs, timeouts.connectMs, timeouts.queueMs],
    [1_800_000, 1_800_000, 4000, 4000],
  )
  const [server] = write.servers
  const { question, rise, fall, intervalMs, timeoutMs, target } = server?.check ?? {}
  assert.deepEqual([rise, fall, intervalMs, timeoutMs], [2, 3, 3000, 8000])
  assert.deepEqual(target, { host: '192.168.234.201', port: 8008 })
  assert.deepEqual([question?.kind, server?.connectionsMax, server?.cutsWhenDown], ['http', 100, true])
  assert.equal(
    read.servers[0]?.check?.question.kind === 'http' && read.servers[0].check.question.path,
    '/replica',
  )
  assert.deepEqual(
    remarks.map(({ about }) => about),
    ['log', 'log'],
  )
})

const mistakes: readonly (readonly [string, string])[] = [
  [
    section('  timeout clent 30m'),
    'h.cfg:3: timeout clent: unknown directive; did you mean timeout client? (--lenient goes on without it)',
  ],
  [
    section('  blance roundrobin'),
    'h.cfg:3: blance: unknown directive; did you mean balance? (--lenient goes on without it)',
  ],
  [
    section('  option httpchck'),
    'h.cfg:3: option httpchck: unknown directive; did you mean option httpchk? (--lenient goes on without it)',
  ],
  [
    'listne w\n',
    'h.cfg:1: listne: unknown section; did you mean listen? (--lenient goes on without it)\nh.cfg:1: listen: no section takes sessions: expected a bind and servers',
  ],
  [
    section('  default-server inter 3s fal 3'),
    'h.cfg:3: server fal: unknown parameter; did you mean fall? (--lenient goes on without it)',
  ],
  [section('  timeout client soon'), 'h.cfg:3: timeout client: expected a duration such as 30m, 4s or 500ms'],
  [
    section('  balance hdr(host)'),
    'h.cfg:3: balance hdr(host): expected roundrobin, static-rr, leastconn, first, source or random(N) (--lenient goes on without it)',
  ],
  [
    section('  use_backend b if { src 10.0.0.0/8 }'),
    'h.cfg:3: use_backend: sessions go by port: give each backend a frontend of its own (--lenient goes on without it)',
  ],
  [
    'frontend f\n  bind *:1\n  default_backend b\n',
    'h.cfg:1: listen: no section takes sessions: expected a bind and servers\nh.cfg:3: default_backend: there is no backend b',
  ],
  [
    `global\n  maxcon 10\n${section('')}`,
    'h.cfg:2: maxcon: unknown in global; did you mean maxconn? (--lenient goes on without it)',
  ],
  [section('  log "open'), 'h.cfg:3: log "open: a quote is not closed'],
]
for (const [text, want] of mistakes) {
  test(`the mistake in ${JSON.stringify(text.slice(0, 60))} is told by line`, () =>
    assert.equal(mistake(text), want))
}

test('an unknown directive is told by file, line and nearest known name', () => {
  assert.match(
    mistake(section('  blance roundrobin')),
    /^h\.cfg:3: blance: unknown directive; did you mean balance\?/,
  )
})

test('lenient: what is not known becomes a warning, what is wrong does not', () => {
  const { remarks, config } = parse(section('  timeout clent 30m'), true)
  assert.deepEqual([remarks.map(({ about }) => about), config.listeners.length], [['timeout clent'], 1])
  assert.throws(() => parse(section('  timeout client soon'), true), /expected a duration/)
})

test('frontends and backends, defaults that later sections inherit and named ones that they ask for', () => {
  const { config } = parse(`
defaults slow
  timeout connect 9s
defaults
  timeout connect 2s
  default-server inter 1s
frontend f
  bind :5000
  bind 10.0.0.9:5001
  maxconn 7
  default_backend b
backend b
  option httpchk GET /primary
  server pg1 10.0.0.1:5432 check port 8008
listen other from slow
  bind :6000
  option httpchk GET /replica
  server pg2 10.0.0.2:5432 check port 8008
`)
  const [front, other] = config.listeners
  assert.deepEqual(
    [front?.binds.length, front?.connectionsMax, front?.timeouts.connectMs, front?.pool],
    [2, 7, 2000, 'leader'],
  )
  assert.equal(front?.servers[0]?.check?.intervalMs, 1000)
  assert.equal(other?.timeouts.connectMs, 9000)
})

// lines of a section, what to look at, what it is
const effects: readonly (readonly [string, (from: ListenerConfig) => unknown, unknown])[] = [
  ['  balance leastconn', ({ balance }) => balance, { kind: 'leastconn' }],
  ['  balance random(3)', ({ balance }) => balance, { kind: 'random', draws: 3 }],
  ['  timeout tunnel 1h\n  timeout client 1m', ({ timeouts }) => timeouts.clientMs, 3_600_000],
  [
    '  timeout client-fin 5s\n  timeout server-fin 6s',
    ({ timeouts }) => [timeouts.clientFinMs, timeouts.serverFinMs],
    [5000, 6000],
  ],
  [
    '  bind *:5055 tcp-ut 20s\n  default-server tcp-ut 30s',
    ({ timeouts }) => [timeouts.clientUnackedMs, timeouts.serverUnackedMs],
    [20_000, 30_000],
  ],
  ['  timeout queue 7s', ({ timeouts }) => timeouts.queueMs, 7000],
  [
    '  timeout client 0\n  timeout server 0s\n  timeout client-fin 0\n  timeout server-fin 0',
    ({ timeouts: { clientMs, serverMs, clientFinMs, serverFinMs } }) => [
      clientMs,
      serverMs,
      clientFinMs,
      serverFinMs,
    ],
    [undefined, undefined, undefined, undefined],
  ],
  ['  timeout client 5s\n  timeout tunnel 0', ({ timeouts }) => timeouts.clientMs, 5000],
  ['  timeout connect 3s\n  timeout queue 0', ({ timeouts }) => timeouts.queueMs, 3000],
  [
    '  timeout connect 0',
    ({ timeouts }) => [timeouts.connectMs, timeouts.queueMs],
    [2 ** 31 - 1, 2 ** 31 - 1],
  ],
  [
    '  default-server inter 2s\n  timeout check 0',
    ({ servers: [one] }) => [one?.check?.timeoutMs, one?.check?.connectTimeoutMs],
    [2000, 2000],
  ],
  ['  retries 5\n  option redispatch', ({ retries }) => retries, 5],
  ['  option clitcpka\n  clitcpka-idle 9s', ({ keepAliveMs }) => keepAliveMs, 9000],
  ['  option clitcpka\n  clitcpka-idle 30', ({ keepAliveMs }) => keepAliveMs, 30_000],
  ['  option tcpka\n  clitcpka-idle 0', ({ keepAliveMs }) => keepAliveMs, 30_000],
  ['  option tcpka\n  clitcpka-idle 60\n  srvtcpka-idle 10', ({ keepAliveMs }) => keepAliveMs, 10_000],
  ['  maxconn 0', ({ connectionsMax }) => connectionsMax, 10_000],
  ['  rate-limit sessions 50', ({ access }) => access.perSecond, 50],
  ['  rate-limit sessions 0', ({ access }) => access.perSecond, undefined],
  [
    '  default-server fastinter 1s downinter 9s',
    ({ servers }) => [servers[0]?.check?.fastIntervalMs, servers[0]?.check?.downIntervalMs],
    [1000, 9000],
  ],
  [
    '  default-server weight 10 slowstart 30s maxqueue 5 backup',
    ({ servers: [one] }) => [one?.weight, one?.slowStartMs, one?.queueMax, one?.isBackup],
    [10, 30_000, 5, true],
  ],
  [
    '  default-server send-proxy-v2 source 10.9.9.9',
    ({ servers: [one] }) => [one?.sendProxy, one?.source],
    ['v2', '10.9.9.9'],
  ],
  [
    '  default-server on-marked-up shutdown-backup-sessions',
    ({ servers: [one] }) => one?.cutsBackupsWhenUp,
    true,
  ],
  ['  default-server check-ssl verify none', ({ servers: [one] }) => one?.check?.tls?.verify, false],
  ['  default-server check-ssl', ({ servers: [one] }) => one?.check?.tls?.verifiedName, undefined],
  [
    '  default-server check-ssl verifyhost db.example',
    ({ servers: [one] }) => [one?.check?.tls?.serverName, one?.check?.tls?.verifiedName],
    [undefined, 'db.example'],
  ],
  [
    '  default-server check-ssl check-sni a.example verifyhost db.example',
    ({ servers: [one] }) => [one?.check?.tls?.serverName, one?.check?.tls?.verifiedName],
    ['a.example', 'a.example'],
  ],
  [
    '  option pgsql-check user bob',
    ({ servers: [one] }) => one?.check?.question,
    { kind: 'postgres', user: 'bob' },
  ],
  ['  option tcp-check', ({ servers: [one] }) => one?.check?.question, { kind: 'tcp' }],
  [
    '  http-check expect ! status 500-599\n  option httpchk HEAD /x HTTP/1.1\\r\\nHost:\\ db',
    ({ servers: [one] }) => {
      const question = one?.check?.question
      return question?.kind === 'http'
        ? [question.method, question.version, question.headers, question.expects.negated]
        : undefined
    },
    ['HEAD', 'HTTP/1.1', [['Host', 'db']], true],
  ],
  [
    '  option httpchk\n  http-check expect comment "a status" min-recv 3 on-error x ! status 503',
    ({ servers: [one] }) => one?.check?.question.kind === 'http' && one.check.question.expects,
    { ranges: [{ from: 503, to: 503 }], negated: true },
  ],
  [
    '  option httpchk\n  http-check send meth GET uri /replica?lag=10MB ver HTTP/1.1 hdr Host x',
    ({ filter }) => filter.lagBytesMax,
    10 * 1024 ** 2,
  ],
  [
    '  acl office src 10.0.0.0/8 192.168.1.1\n  tcp-request connection reject if !office',
    ({ access: { peerRules } }) => [
      peerRules[0]?.action,
      peerRules[0]?.negated,
      peerRules[0]?.ranges?.length,
    ],
    ['reject', true, 2],
  ],
]
for (const [lines, look, want] of effects) {
  test(`what ${JSON.stringify(lines.trim())} means`, () => assert.deepEqual(look(listener(lines)), want))
}

test('a timeout of 0 takes back the one of defaults: as in HAProxy there is none', () => {
  const text = `defaults\n  timeout client 30m\n  timeout connect 4s\n${section('  timeout client 0\n  timeout connect 0')}`
  const { clientMs, connectMs } = parse(text).config.listeners[0]?.timeouts ?? {}
  assert.deepEqual([clientMs, connectMs], [undefined, 2 ** 31 - 1])
})

test('a maxconn of 0 takes back the one of defaults, and global’s is none', () => {
  const files = ['global\n  maxconn 7\ndefaults\n  maxconn 5\n', 'global\n  maxconn 0\n']
  const limits = files.map(file => {
    const { config } = parse(`${file}${section('  maxconn 0')}`)
    return [config.connectionsMax, config.listeners[0]?.connectionsMax]
  })
  assert.deepEqual(limits, [
    [7, 7],
    [undefined, 10_000],
  ])
})

// bind lines, where it listens
const binds: readonly (readonly [string, ListenerConfig['binds']])[] = [
  ['bind *:5055', [{ host: '0.0.0.0', port: 5055 }]],
  ['bind :::5055', [{ host: '::', port: 5055 }]],
  ['bind :::5055 v4v6', [{ host: '::', port: 5055 }]],
  ['bind :::5055 v6only', [{ host: '::', port: 5055, ipv6Only: true }]],
  ['bind [::1]:5055 v4v6 v6only', [{ host: '::1', port: 5055, ipv6Only: true }]],
  ['bind 10.0.0.4:5055,:::5056 v6only', [{ host: '10.0.0.4', port: 5055 }, v6(5056)]],
  ['bind 10.0.0.4:5055 v4v6', [{ host: '10.0.0.4', port: 5055 }]],
  ['bind *:5055\n  bind :::5055', [{ host: '0.0.0.0', port: 5055 }, v6(5055)]],
]
for (const [lines, want] of binds) {
  test(`where ${JSON.stringify(lines)} listens`, () =>
    assert.deepEqual(listener(`  ${lines}`).binds.slice(1), want))
}

test('what would open a port on more than the file says stops the start', () => {
  for (const word of ['interface eth1', 'transparent', 'namespace red']) {
    const text = section(`  bind *:5055 ${word}`)
    assert.match(mistake(text), /^h\.cfg:3: bind \w+: (?:listening|addresses)/)
    assert.equal(parse(text, true).config.listeners[0]?.binds.length, 2)
  }
})

test('words: quotes, escapes, comments and variables of the environment', () => {
  const { config } = parse('listen "a b" # comment\n  bind "*:$PORT"\n  server pg\\ 1 10.0.0.1:5432\n')
  assert.deepEqual(
    [config.listeners[0]?.name, config.listeners[0]?.binds[0]?.port, config.listeners[0]?.servers[0]?.name],
    ['a b', 5000, 'pg 1'],
  )
})

test('one server has one name in all sections, and track copies the check', () => {
  const { config } = parse(`listen w
  bind :5000
  option httpchk
  server pg1 10.0.0.1:5432 check port 8008 inter 7s
listen r
  bind :6000
  server other 10.0.0.1:5432 track w/pg1
`)
  const [write, read] = config.listeners
  assert.deepEqual([write?.servers[0]?.name, read?.servers[0]?.name], ['pg1', 'pg1'])
  assert.equal(read?.servers[0]?.check?.intervalMs, 7000)
})

test('two clusters in one file are told apart instead of mixed', () => {
  const two = `${section('  option httpchk')}listen w2\n  bind :5001\n  option httpchk\n  server x 10.0.9.1:5432 check\n`
  assert.match(mistake(two), /^h\.cfg:5: listen w2: asks for the leader of other servers than w/)
})

test('with a store the servers of the file are options, and sections are pools by their check', () => {
  const store = {
    discovery: { kind: 'patroni', urls: [] },
    scope: undefined,
    namespace: '/service/',
  } as const
  const text = `listen w\n  bind :5000\n  option httpchk\n  server a 10.0.0.1:5432 check port 8008 inter 1s
listen r\n  bind :6000\n  option httpchk GET /replica?lag=1MB&tag_dc=east\n  server a 10.0.0.1:5432 check port 8008\n
listen s\n  bind :6001\n  option httpchk GET /sync\n  server a 10.0.0.1:5432 check port 8008\n`
  const { config } = parseHaproxy(text, 'h.cfg', { lenient: false, store })
  const [write, read, sync] = config.listeners
  assert.deepEqual(
    [write?.pool, read?.pool, sync?.filter.sync, config.checks.intervalMs],
    ['leader', 'replica', 'sync', 1000],
  )
  assert.deepEqual([read?.filter.lagBytesMax, read?.filter.tags], [1024 ** 2, { dc: 'east' }])
})

test('a haproxy.cfg is told from YAML', () => {
  assert.equal(isHaproxyText('# x\n\nglobal\n'), true)
  assert.equal(isHaproxyText('scope: pgsql\nlisten: 1\n'), false)
})

test('lines of a second file are counted from its own first', () => {
  const places = [
    { file: 'a.cfg', before: 0 },
    { file: 'b.cfg', before: 10 },
  ]
  assert.equal(printRemark(places, { line: 10, about: 'x', says: 'y' }), 'a.cfg:10: x: y')
  assert.equal(printRemark(places, { line: 13, about: 'x', says: 'y' }), 'b.cfg:3: x: y')
})
