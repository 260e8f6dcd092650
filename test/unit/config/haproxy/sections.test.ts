// What whole sections of a haproxy.cfg come to: the roles that they ask for, tracked checks, status pages and who may read them.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Store } from '../../../../src/config/haproxy/build.ts'
import { parseHaproxy } from '../../../../src/config/haproxy/load.ts'
import { isAccepted, isAcceptedByAll } from '../../../../src/config/proxy/access.ts'
import { proxyConfigForPatroni } from '../../../../src/config/proxy/load.ts'
import type { ListenerConfig, ProxyConfig } from '../../../../src/config/proxy/types.ts'

const { discovery } = proxyConfigForPatroni(['10.0.0.1:8008'])
const store: Store = { discovery, scope: 'pgsql', namespace: '/service/' }

function config(text: string, given?: Store): ProxyConfig {
  return parseHaproxy(text, 'h.cfg', { lenient: false, ...(given === undefined ? {} : { store: given }) })
    .config
}

function listen(port: number, lines: string): string {
  return `listen s${port}\n  bind *:${port}\n${lines}\n  server pg1 10.0.0.1:5432 check port 8008\n`
}

function mistake(text: string): string {
  try {
    config(text)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error('no mistake was found')
}

// lines of a section, its pool by its own checks, its pool beside a store
const pools: readonly (readonly [string, string, string])[] = [
  ['  option httpchk GET /primary', 'leader', 'leader'],
  ['  option httpchk GET /primary\n  http-check expect status 200', 'leader', 'leader'],
  ['  option httpchk GET /primary\n  http-check expect ! status 503', 'leader', 'leader'],
  ['  option httpchk GET /primary\n  http-check expect status 503', 'servers', 'servers'],
  ['  option httpchk GET /primary\n  http-check expect ! status 200', 'servers', 'servers'],
  ['  option httpchk GET /primary\n  http-check expect status 200,503', 'servers', 'servers'],
  ['  option httpchk GET /standby-leader', 'servers', 'standby-leader'],
  ['  option httpchk GET /replica', 'servers', 'replica'],
  ['  option httpchk GET /read-only', 'servers', 'any'],
  ['  option tcp-check', 'servers', 'servers'],
]
for (const [lines, alone, beside] of pools) {
  test(`the pool of a section with ${JSON.stringify(lines.trim())}`, () => {
    const poolOf = (given?: Store) => config(listen(5000, lines), given).listeners[0]?.pool
    assert.deepEqual([poolOf(), poolOf(store)], [alone, beside])
  })
}

test('a section for the standby leader is no section for the leader: each has its own checks', () => {
  const both = config(
    listen(5000, '  option httpchk GET /primary') + listen(5001, '  option httpchk GET /standby-leader'),
  )
  assert.deepEqual(
    both.listeners.map(({ pool }) => pool),
    ['leader', 'servers'],
  )
  assert.deepEqual(both.discovery, { kind: 'static', leaderListener: 's5000' })
  const alone = config(listen(5001, '  option httpchk GET /standby-leader'))
  assert.deepEqual(alone.discovery, { kind: 'static', leaderListener: undefined })
})

test('beside a store servers that only their checks speak for have names that no member has', () => {
  const [listener] = config(listen(5000, '  option tcp-check'), store).listeners
  assert.deepEqual(
    listener?.servers.map(({ name }) => name),
    ['s5000/pg1'],
  )
})

test('servers from a template: beside a store its members take their place, without one the start stops', () => {
  const template = (check: string) =>
    `listen s\n  bind *:5000\n  ${check}\n  server-template pg 3 db.example:5432 check port 8008\n`
  const text = template('option httpchk GET /primary')
  const read = parseHaproxy(text, 'h.cfg', { lenient: false, store })
  assert.deepEqual([read.config.listeners[0]?.pool, read.remarks.map(({ line }) => line)], ['leader', [4]])
  assert.match(read.remarks[0]?.says ?? '', /^has no effect: the members are those of the store/)
  assert.match(mistake(text), /server-template: servers from DNS are not there/)
  assert.throws(() => config(template('option tcp-check'), store), /listen s: no server(?!-)/)
})

test('a server of a frontend’s backend says its keepalive itself', () => {
  const { listeners } = config(
    'frontend f\n  bind *:5000\n  default_backend b\nbackend b\n  option srvtcpka\n  srvtcpka-idle 20\n  server a 10.0.0.1:5432 check\n',
  )
  assert.equal(listeners[0]?.keepAliveMs, 20_000)
})

test('members without a line of their own get what default-server says', () => {
  const [listener] = config(
    listen(5000, '  option httpchk GET /replica\n  default-server maxconn 7 send-proxy source 10.9.9.9'),
    store,
  ).listeners
  assert.deepEqual(listener?.serverDefaults, { connectionsMax: 7, sendProxy: 'v1', source: '10.9.9.9' })
})

const track = (lines: string) =>
  `${listen(5000, '  option httpchk GET /primary')}listen r\n  bind *:6000\n  option httpchk GET /replica\n  server a 10.0.0.1:5432 check port 8008\n${lines}\n`

/** The second section's servers. */
function tracked(lines: string): ListenerConfig['servers'] {
  return config(track(lines)).listeners[1]?.servers ?? []
}

test('a server that tracks has the check of the other, through several, and a name of its own at the same address', () => {
  const [own, one, two] = tracked(
    '  server b 10.0.0.1:5432 track s5000/pg1 backup\n  server c 10.0.0.3:5432 track b',
  )
  const pathOf = (server: typeof one) =>
    server?.check?.question.kind === 'http' ? server.check.question.path : undefined
  assert.deepEqual([own, one, two].map(pathOf), ['/replica', '/primary', '/primary'])
  assert.equal(one?.check?.target.port, 8008)
  assert.deepEqual(
    [own, one, two].map(server => server?.name),
    ['pg1', 'b', 'c'],
  )
})

// lines, the mistake
const wrong: readonly (readonly [string, string])[] = [
  [
    track('  server b 10.0.0.2:5432 track nobody/pg1'),
    'h.cfg:9: server b track: there is no server nobody/pg1',
  ],
  [track('  server b 10.0.0.2:5432 track pg9'), 'h.cfg:9: server b track: there is no server pg9'],
  [
    track('  server b 10.0.0.2:5432 track c\n  server c 10.0.0.3:5432 track b'),
    'h.cfg:9: server b track: servers track each other in a circle\nh.cfg:10: server c track: servers track each other in a circle',
  ],
  [
    track('  server b 10.0.0.2:5432 track c\n  server c 10.0.0.3:5432'),
    'h.cfg:9: server b track: c has no check that could be tracked',
  ],
  ...[
    'option httpchk',
    'option tcp-check',
    'option pgsql-check',
    'option tcpka',
    'maxconn 5',
    'http-check disable-on-404',
  ].map(
    line =>
      [
        listen(5000, `  no ${line}`),
        `h.cfg:3: no ${line.replace(/ \d$/, '')}: cannot be taken back: remove the line that asks for it`,
      ] as const,
  ),
]
for (const [text, want] of wrong) {
  test(`${JSON.stringify(text.split('\n').slice(-3, -1).join(' ').trim().slice(0, 60))}: ${want.split(': ').at(-1)}`, () =>
    assert.equal(mistake(text), want))
}

test('options that HAProxy takes back with no are taken back', () => {
  const { listeners } = config(
    `defaults\n  option allbackups\n  option clitcpka\n  option redispatch\n${listen(5000, '  no option allbackups\n  no option redispatch\n  no option dontlognull\n  no log')}`,
  )
  assert.equal(listeners[0]?.allBackups, false)
})

function admin(lines: string): ProxyConfig['admin'] {
  return config(
    `${listen(5000, '  option httpchk')}listen stats\n  mode http\n  bind *:7000\n  stats enable\n${lines}\n`,
  ).admin
}

test('stats auth and stats realm are asked for on the status port', () => {
  const { guards } = admin('  stats realm Our\\ herd\n  stats auth admin:secret\n  stats auth ops:a:b')
  assert.deepEqual(guards, [{ users: ['admin:secret', 'ops:a:b'], realm: 'Our herd', rules: [] }])
  assert.deepEqual(admin('').guards, [undefined])
})

// lines of a status page, which of 10.1.1.1 and 127.0.0.1 may read it
const doors: readonly (readonly [string, boolean, boolean])[] = [
  ['  tcp-request connection reject if !{ src 10.0.0.0/8 }', true, false],
  ['  http-request deny unless { src 10.0.0.0/8 }', true, false],
  ['  acl inside src 10.0.0.0/8\n  http-request deny deny_status 403 if !inside', true, false],
  [
    '  acl inside src 10.0.0.0/8\n  stats http-request allow if inside or LOCALHOST\n  stats http-request deny',
    true,
    true,
  ],
  [
    '  tcp-request connection accept if { src 10.0.0.0/8 }\n  tcp-request connection reject\n  http-request deny if LOCALHOST',
    true,
    false,
  ],
  ['  tcp-request connection accept if LOCALHOST\n  tcp-request content reject if LOCALHOST', true, false],
]
for (const [lines, ten, local] of doors) {
  test(`a status page with ${JSON.stringify(lines.trim())}`, () => {
    const rules = admin(lines).guards?.[0]?.rules ?? []
    const may = (source: string) => isAcceptedByAll(source, rules)
    assert.deepEqual([may('10.1.1.1'), may('::ffff:127.0.0.1')], [ten, local])
  })
}

test('lines of defaults about the status page make none of a section that takes sessions', () => {
  const defaults = 'defaults\n  mode tcp\n  stats enable\n  stats uri /x\n  stats auth a:b\n'
  const front = 'frontend f\n  bind *:5000\n  default_backend b\n'
  const back = 'backend b\n  server pg1 10.0.0.1:5432 check\n'
  const page = 'listen stats\n  mode http\n  bind *:7000\n'
  const read = config(`${defaults}${front}${back}${page}`)
  assert.deepEqual(
    [read.listeners.map(({ name }) => name), read.admin.binds.map(({ port }) => port)],
    [['f'], [7000]],
  )
  const members = config(`${defaults}listen w\n  bind *:5000\n  option httpchk GET /primary\n`, store)
  assert.deepEqual([members.listeners.length, members.admin.binds.length], [1, 0])
  assert.match(
    mistake(`${front}${back}listen s\n  mode tcp\n  bind *:7000\n  stats enable\n`),
    /^h\.cfg:6: listen s: no server; a status page needs mode http$/,
  )
})

const exporter = (condition: string, more = '') =>
  `${listen(5000, '  option httpchk')}frontend prometheus\n  mode http\n  bind *:8405\n${more}  http-request use-service prometheus-exporter${condition}\n`

test("HAProxy's own exporter becomes a status page whose metrics have other names, which one warning says", () => {
  for (const condition of [' if { path /metrics }', '', ' if { path_beg -i /metrics }']) {
    const { config, remarks } = parseHaproxy(exporter(condition), 'h.cfg', { lenient: false })
    assert.deepEqual(
      config.admin.binds.map(({ port }) => port),
      [8405],
    )
    const told = remarks.filter(({ about }) => about === 'http-request use-service')
    assert.equal(told.length, 1)
    assert.match(told[0]?.says ?? '', /names begin with pgherd_proxy_ .*docs\/metrics\.md/)
  }
})

test('the path of the exporter may have a name, and lines of one name add up', () => {
  const named = '  acl m path /metrics\n  acl m path_beg -i /prom\n  acl other path /x\n'
  for (const condition of [' if m', ' if m or other', ' if { path /y } || m']) {
    const { config, remarks } = parseHaproxy(exporter(condition, named), 'h.cfg', { lenient: false })
    assert.equal(config.admin.binds[0]?.port, 8405)
    assert.equal(config.admin.guards?.[0], undefined)
    assert.deepEqual(
      remarks.map(({ about }) => about),
      ['http-request use-service'],
    )
  }
  const mixed = `${named}  acl m src 10.0.0.0/8\n  acl inside src 10.0.0.0/8\n  acl inside path /x\n`
  for (const condition of [
    ' if m',
    ' unless other',
    ' if !other',
    ' if nobody',
    ' if other or',
    ' if inside',
  ])
    assert.match(mistake(exporter(condition, mixed)), /http-request use-service: would leave the status page/)
  for (const rule of ['deny if other', 'deny unless inside', 'deny if inside'])
    assert.match(
      mistake(exporter('', `${mixed}  http-request ${rule}\n`)),
      /http-request deny: would leave the status page open/,
    )
})

test('an exporter that is only for some stays theirs, or stops the start', () => {
  const guarded = config(exporter(' if { path /metrics }', '  http-request deny unless { src 10.0.0.0/8 }\n'))
  const rules = guarded.admin.guards?.[0]?.rules ?? []
  assert.deepEqual(
    ['10.1.1.1', '192.0.2.1'].map(source => isAcceptedByAll(source, rules)),
    [true, false],
  )
  for (const condition of [
    ' if { path /metrics } { src 10.0.0.0/8 }',
    ' if { path /metrics } inside',
    ' if { hdr(x) y }',
  ])
    assert.match(
      mistake(exporter(condition)),
      /^h\.cfg:8: http-request use-service: would leave the status page open/,
    )
})

test('what would leave a status page open stops the start', () => {
  for (const [line, about] of [
    ['http-request auth unless { http_auth(users) }', 'auth'],
    ['http-request deny unless { hdr(x) y }', 'deny'],
  ])
    assert.match(
      mistake(`${listen(5000, '  option httpchk')}listen stats\n  bind *:7000\n  stats enable\n  ${line}\n`),
      new RegExp(`^h\\.cfg:8: http-request ${about}: would leave the status page open`),
    )
})

// conditions of a port, which of these sources come in: 10.1.1.1, 10.2.2.2, 192.0.2.1
const conditions: readonly (readonly [string, string])[] = [
  ['reject if { src 10.0.0.0/8 }', 'no no yes'],
  ['reject if !{ src 10.0.0.0/8 }', 'yes yes no'],
  ['reject if ! { src 10.0.0.0/8 }', 'yes yes no'],
  ['reject unless { src 10.0.0.0/8 192.0.2.1 }', 'yes yes yes'],
  ['reject unless { src -m ip 10.1.0.0/16 } or { src 192.0.2.1 }', 'yes no yes'],
  ['reject if { src 10.0.0.0/8 } !{ src 10.1.0.0/16 }', 'yes no yes'],
  ['reject unless { src 10.0.0.0/8 } !{ src 10.1.0.0/16 }', 'no yes no'],
  ['reject if inner || { src 192.0.2.0/24 }', 'no yes no'],
  ['reject unless LOCALHOST', 'no no no'],
  ['reject unless TRUE', 'yes yes yes'],
]
for (const [condition, want] of conditions) {
  test(`tcp-request connection ${condition}`, () => {
    const [listener] = config(
      listen(5000, `  acl inner src 10.1.0.0/16\n  tcp-request connection ${condition}`),
    ).listeners
    const sources = ['10.1.1.1', '10.2.2.2', '192.0.2.1']
    const may = sources.map(source => isAccepted(source, listener?.access.peerRules ?? []))
    assert.equal(may.map(yes => (yes ? 'yes' : 'no')).join(' '), want)
  })
}

// lines of a defaults section, of a frontend and of its backend; which of 10.1.1.1, 10.2.2.2 and 192.0.2.1 come in
const levels: readonly (readonly [string, string, string, string])[] = [
  ['', '', 'tcp-request content reject if { src 10.2.2.2 }', 'yes no yes'],
  [
    '',
    'tcp-request connection accept if { src 10.0.0.0/8 }\n  tcp-request content reject if { src 10.2.2.2 }',
    '',
    'yes no yes',
  ],
  [
    '',
    'tcp-request session accept if { src 10.2.2.2 }\n  tcp-request content reject if { src 10.0.0.0/8 }',
    '',
    'no no yes',
  ],
  [
    '',
    'tcp-request content accept if { src 10.2.2.2 }',
    'tcp-request content reject if { src 10.0.0.0/8 }',
    'no no yes',
  ],
  [
    'acl bad src 10.2.2.2\n  tcp-request connection reject if bad',
    'tcp-request connection accept if { src 10.0.0.0/8 }\n  tcp-request connection reject',
    '',
    'yes no no',
  ],
]
for (const [defaults, front, back, want] of levels) {
  test(`each level of rules must let a source in: ${JSON.stringify([defaults, front, back].filter(Boolean))}`, () => {
    const [listener] = config(
      `defaults d\n  ${defaults}\nfrontend f\n  bind *:5000\n  ${front}\n  default_backend b\n` +
        `defaults e\nbackend b\n  ${back}\n  server pg1 10.0.0.1:5432 check\n`,
    ).listeners
    assert.ok(listener)
    const { rules, peerRules } = listener.access
    const may = ['10.1.1.1', '10.2.2.2', '192.0.2.1'].map(source =>
      isAcceptedByAll(source, [peerRules, ...rules]),
    )
    assert.equal(may.map(yes => (yes ? 'yes' : 'no')).join(' '), want)
  })
}

test('a backend takes rules of the level content alone, as in HAProxy', () => {
  const file = (level: string) =>
    `frontend f\n  bind *:5000\n  default_backend b\nbackend b\n  tcp-request ${level} reject if LOCALHOST\n  server pg1 10.0.0.1:5432 check\n`
  for (const level of ['connection', 'session'])
    assert.match(mistake(file(level)), /^h\.cfg:5: tcp-request (?:connection|session) reject: a backend has/)
  assert.equal(config(file('content')).listeners[0]?.access.rules.length, 1)
})

test('conditions about anything else are told', () => {
  for (const condition of [
    'if { dst 10.0.0.1 }',
    'if { src -f list }',
    'if unheard',
    'if { src 10.0.0.0/8',
    'if or inner',
    'if',
  ])
    assert.match(
      mistake(listen(5000, `  tcp-request connection reject ${condition}`)),
      /only conditions about the source/,
    )
})

test('what is accepted without an effect is told', () => {
  const { remarks } = parseHaproxy(
    listen(
      5000,
      '  option log-health-checks\n  default-server observe layer4 error-limit 5 on-error mark-down',
    ),
    'h.cfg',
    { lenient: false },
  )
  assert.deepEqual(
    remarks.map(({ about }) => about),
    ['option log-health-checks', 'server error-limit', 'server on-error'],
  )
})
