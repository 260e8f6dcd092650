import assert from 'node:assert/strict'
import { hostname } from 'node:os'
import test from 'node:test'
import { defaultChecks, defaultListener } from '../../../../src/config/proxy/defaults.ts'
import {
  loadProxyConfig,
  parseProxyConfig,
  proxyConfigForPatroni,
} from '../../../../src/config/proxy/load.ts'
import { UserError } from '../../../../src/platform/errors.ts'

const small = 'scope: pgsql\netcd: { hosts: [10.0.0.4:2379] }\n'
const listeners = [
  { name: 'write', binds: [{ host: undefined, port: 5000 }], pool: 'leader', ...defaultListener },
  { name: 'read', binds: [{ host: undefined, port: 6000 }], pool: 'replica', ...defaultListener },
]

test('the smallest file is a scope and etcd; all else has its default', () => {
  assert.deepEqual(parseProxyConfig(small, 'proxy.yml'), {
    file: 'proxy.yml',
    compat: 'native',
    name: hostname(),
    scope: 'pgsql',
    namespace: '/service/',
    discovery: {
      kind: 'etcd',
      etcd: {
        endpoints: ['http://10.0.0.4:2379'],
        srv: undefined,
        followMembers: true,
        transport: 'grpc',
        username: undefined,
        password: undefined,
        cacert: undefined,
        cert: undefined,
        key: undefined,
      },
    },
    onDcsLoss: 'keep',
    listeners,
    connectionsMax: undefined,
    admin: { binds: [{ host: undefined, port: 7000 }] },
    checks: defaultChecks,
    log: { type: 'plain', level: 'info' },
    relay: 'auto',
    threads: 1,
    eventsFile: undefined,
    vips: [],
  })
})

test('a file with everything in it', () => {
  const text = `
scope: pgsql
namespace: /db/
etcd: { hosts: [10.0.0.4:2379] }
listeners:
  write: { bind: '*:5000', pool: leader, max_connections: 10000, on_no_backend: { hold: 10s, max_held: 1000, then: error, plain_errors: false } }
  read:  { bind: '*:6000', pool: replica, fallback: leader, balance: roundrobin, max_connections: 10000 }
admin:   { bind: '*:7000' }
checks:  { interval: 500ms, timeout: 500ms, rise: 1, fall: 2, fast_interval: 250ms }
data_plane: node
`
  const config = parseProxyConfig(text, 'proxy.yml')
  assert.deepEqual(config.listeners, listeners)
  assert.equal(config.namespace, '/db/')
})

test('only the listeners that the file names exist; names of their own need bind and pool', () => {
  const text = `${small}listeners: { reports: { bind: '[::1]:6001', pool: replica, fallback: none } }`
  const [reports, ...others] = parseProxyConfig(text, 'p.yml').listeners
  assert.deepEqual(
    [reports?.name, reports?.binds, reports?.fallback, others.length],
    ['reports', [{ host: '::1', port: 6001 }], 'none', 0],
  )
})

// text, the whole message
const mistakes: readonly (readonly [string, string])[] = [
  [
    'scope: pgsql\n',
    'p.yml:1: etcd: is missing: expected a mapping with hosts (or patroni: a list of addresses)',
  ],
  ['etcd: { hosts: [a] }\n', 'p.yml:1: scope: is missing: expected text'],
  [`${small}chekcs: {}\n`, 'p.yml:3: chekcs: unknown key; did you mean checks?'],
  [
    `${small}listeners:\n  write:\n    bnid: '*:1'\n`,
    'p.yml:5: listeners.write.bnid: unknown key; did you mean bind?',
  ],
  [
    `${small}listeners:\n  write: { bind: 5000 }\n`,
    "p.yml:4: listeners.write.bind: expected an address with a port, such as '*:5000' or 10.0.0.4:5000",
  ],
  [
    `${small}listeners:\n  write: { bind: *:5000 }\n`,
    "p.yml:4: a value that begins with * needs quotes, such as bind: '*:5000'",
  ],
  [
    `${small}listeners:\n  write: { on_no_backend: { hold: 10 } }\n`,
    'p.yml:4: listeners.write.on_no_backend.hold: expected a duration from 0ms to 600000ms, such as 500ms or 10s',
  ],
  [
    `${small}listeners:\n  write: { pool: primary }\n`,
    'p.yml:4: listeners.write.pool: expected leader or replica or any or standby-leader or servers',
  ],
  [
    `${small}listeners:\n  x: { bind: ':1' }\n`,
    'p.yml:1: listeners.x.pool: is missing: expected leader or replica',
  ],
  [`${small}listeners: {}\n`, 'p.yml:1: listeners: expected at least one listener'],
  [`${small}checks: { rise: 0 }\n`, 'p.yml:3: checks.rise: expected a whole number from 1 to 100'],
  [`${small}checks: { rise: 1.5 }\n`, 'p.yml:3: checks.rise: expected a whole number from 1 to 100'],
  [`${small}relay: fast\n`, 'p.yml:3: relay: expected auto or net or handle'],
  [`${small}data_plane: nat\n`, 'p.yml:3: data_plane: expected node'],
  [`${small}patroni: [a:8008]\n`, 'p.yml:1: etcd and patroni: expected one of the two'],
  [
    'scope: x\netcd: { hosts: [] }\n',
    'p.yml:2: etcd.hosts: expected a list of host:port, or text with commas, found a list',
  ],
  ['scope: x\netcd: { hosts: ["a b"] }\n', 'p.yml:2: etcd.hosts: expected host:port of etcd, found a list'],
  ['scope: x\netcd: { hosst: [a] }\n', 'p.yml:2: etcd.hosst: unknown key; did you mean host?'],
  [
    'scope: x\netcd: { hosts: [a], cacert: /ca.pem }\n',
    'p.yml:2: etcd.cacert: has no effect without `protocol: https`',
  ],
  [
    'scope: x\netcd: { url: "http//root:geheim@a" }\n',
    'p.yml:2: etcd.url: expected a URL like http://10.0.0.4:2379',
  ],
  [
    'scope: x\npatroni: ["http://a/x"]\n',
    "p.yml:2: patroni.0: expected the address of a member's REST server, such as http://10.0.0.1:8008",
  ],
  ['', 'p.yml: is empty: expected a mapping of settings'],
]
for (const [text, want] of mistakes) {
  test(`${JSON.stringify(text)} is refused in one line`, () => {
    assert.throws(
      () => parseProxyConfig(text, 'p.yml'),
      error => {
        assert.ok(error instanceof UserError)
        assert.deepEqual([error.message, error.exitCode], [want, 1])
        return true
      },
    )
  })
}

test('several mistakes are told at once, one line each', () => {
  const text = `${small}x: 1\nchecks: { rise: 0, fall: 0 }\n`
  assert.throws(() => parseProxyConfig(text, 'p.yml'), {
    message: [
      'p.yml:4: checks.rise: expected a whole number from 1 to 100',
      'p.yml:4: checks.fall: expected a whole number from 1 to 100',
      'p.yml:3: x: unknown key; expected one of scope, namespace, name, etcd, patroni, listeners, admin, checks, on_dcs_loss, data_plane, relay, threads, log, events_file, vip',
    ].join('\n'),
  })
})

test('a file that cannot be read is named', async () => {
  await assert.rejects(
    loadProxyConfig('/nowhere/proxy.yml'),
    /^UserError: \/nowhere\/proxy.yml: cannot be read: /,
  )
})

test('without a file, addresses of members are enough', () => {
  const { discovery, scope, listeners: found } = proxyConfigForPatroni(['10.0.0.1:8008', 'https://pg2'])
  assert.deepEqual(discovery, { kind: 'patroni', urls: ['http://10.0.0.1:8008', 'https://pg2:8008'] })
  assert.equal(scope, undefined)
  assert.deepEqual(found, listeners)
  assert.throws(() => proxyConfigForPatroni(['a b']), /--patroni a b: expected the address/)
})

test('what a listener says of its servers holds for each one that does not say it itself', () => {
  const [listener] = parseProxyConfig(
    `${small}listeners:
  chain:
    bind: '*:7500'
    pool: servers
    send_proxy: v2
    server_connections: 50
    max_queue: 7
    servers: { a: { address: '10.0.0.7:5432', check: tcp }, b: { address: '10.0.0.8:5432', max_connections: 9 } }
`,
    'proxy.yml',
  ).listeners
  assert.deepEqual(
    listener?.servers.map(server => [
      server.name,
      server.sendProxy,
      server.connectionsMax,
      server.check?.sendProxy,
    ]),
    [
      ['chain/a', 'v2', 50, true],
      ['chain/b', 'v2', 9, true],
    ],
  )
  assert.equal(listener?.queueMax, 7)
})
