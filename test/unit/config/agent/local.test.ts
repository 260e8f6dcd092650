import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { otherStores } from '../../../../src/config/agent/known.ts'
import { loadLocalConfig, localConfig, printWarning } from '../../../../src/config/agent/local.ts'
import type { LocalConfig } from '../../../../src/config/agent/types.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'
import { UserError } from '../../../../src/platform/errors.ts'

const seed = fileURLToPath(new URL('../../../fixtures/seed/patroni.yml', import.meta.url))

const minimal = `scope: main
name: pg1
etcd3:
  hosts: [10.0.0.4, 'etcd2:2380']
restapi:
  listen: 10.0.0.1:8008
postgresql:
  listen: 10.0.0.1:5432
  connect_address: 10.0.0.1:5432
  data_dir: /data
  authentication:
    replication: {username: repl, password: 's3cret'}
`

function read(text: string): LocalConfig {
  return localConfig({ file: 'p.yml', ...parseYamlMapping(text, 'p.yml') }, 'postgres')
}

test('the patroni.yml of the seed loads as it is, with one warning about the etcd API', async () => {
  const config = await loadLocalConfig(seed, {})
  assert.deepEqual(config.warnings.map(printWarning), [
    `${seed}:7: etcd is spoken to with the etcd v3 API: members that use the v2 API are not seen`,
  ])
  assert.equal(config.name, 'pg1')
  assert.equal(config.scope, 'pgsql')
  assert.equal(config.namespace, '/service')
  assert.deepEqual(config.etcd.endpoints, ['http://192.168.234.204:2379'])
  assert.deepEqual(config.rest.listen, { host: '0.0.0.0', port: 8008 })
  assert.deepEqual(config.rest.connectAddress, { host: '192.168.234.201', port: 8008 })
  assert.deepEqual(config.bootstrap.initdb, [
    { encoding: 'UTF8' },
    { locale: 'C' },
    { 'lc-ctype': 'zh_CN.UTF-8' },
    'data-checksums',
  ])
  assert.equal(config.bootstrap.pgHba.length, 2)
  assert.equal(config.bootstrap.dcs['ttl'], 30)
  assert.deepEqual(config.postgres.superuser, { username: 'postgres', password: '123456', options: {} })
  assert.deepEqual(config.postgres.rewind, config.postgres.superuser)
  assert.deepEqual(config.postgres.basebackup, [{ 'max-rate': '100M' }, { checkpoint: 'fast' }])
  assert.deepEqual(Object.keys(config.tags), ['nofailover', 'noloadbalance', 'clonefrom', 'nosync'])
  assert.equal('authentication' in config.postgres.raw, false)
})

test('the smallest file has the documented defaults', () => {
  const config = read(minimal)
  assert.deepEqual(config.warnings, [])
  assert.deepEqual(config.etcd.endpoints, ['http://10.0.0.4:2379', 'http://etcd2:2380'])
  assert.deepEqual(config.rest.connectAddress, config.rest.listen)
  assert.equal(config.postgres.superuser.username, 'postgres')
  assert.deepEqual([config.log.level, config.log.file], ['info', undefined])
})

interface Broken {
  readonly what: string
  readonly change: readonly [string | RegExp, string]
  readonly says: string
}
const broken: readonly Broken[] = [
  {
    what: 'no name',
    change: ['name: pg1\n', ''],
    says: "p.yml: name: expected this member's name, but it is missing",
  },
  {
    what: 'a name that is a list',
    change: ['name: pg1', 'name: [a]'],
    says: "p.yml:2: name: expected this member's name, found a list",
  },
  {
    what: 'the reserved name',
    change: ['name: pg1', 'name: __patroni_strict_sync_replica_placeholder__'],
    says: 'p.yml:2: name: expected another name: this one is reserved, found "__patroni_strict_sync_replica_placeholder__"',
  },
  {
    what: 'no scope',
    change: ['scope: main\n', ''],
    says: "p.yml: scope: expected the cluster's name, but it is missing",
  },
  {
    what: 'no store',
    change: [/etcd3:\n.*\n/, ''],
    says: 'p.yml: etcd3: expected a section with `host` or `hosts`, but it is missing',
  },
  {
    what: 'an etcd host with a bad port',
    change: ['etcd2:2380', 'etcd2:99999'],
    says: 'p.yml:4: etcd3.hosts: expected host:port of etcd, found a list',
  },
  {
    what: 'no listen of the server',
    change: ['  listen: 10.0.0.1:5432\n', ''],
    says: 'p.yml:7: postgresql.listen: expected host[,host...]:port, but it is missing',
  },
  {
    what: 'a listen with a bad port',
    change: ['listen: 10.0.0.1:5432', 'listen: "10.0.0.1:port"'],
    says: 'p.yml:8: postgresql.listen: expected host[,host...]:port, found "10.0.0.1:port"',
  },
  {
    what: 'no data directory',
    change: ['  data_dir: /data\n', ''],
    says: "p.yml:7: postgresql.data_dir: expected the path of the server's data directory, but it is missing",
  },
  {
    what: 'no replication account',
    change: [/ {2}authentication:\n.*\n/, ''],
    says: 'p.yml:7: postgresql.authentication.replication.username: expected a role name, but it is missing',
  },
  {
    what: 'a password that is a mapping',
    change: ["password: 's3cret'", 'password: {a: 1}'],
    says: 'p.yml:12: postgresql.authentication.replication.password: expected text, found a mapping',
  },
  {
    what: 'a silence of a host that is no number',
    change: ["password: 's3cret'", 'keepalives_idle: soon'],
    says: 'p.yml:12: postgresql.authentication.replication.keepalives_idle: expected a whole number, found "soon"',
  },
  {
    what: 'all addresses for REST without an address that others reach',
    change: ['listen: 10.0.0.1:8008', "listen: '*:8008'"],
    says: 'p.yml:5: restapi.connect_address: expected host:port that others reach (`listen` names all addresses), but it is missing',
  },
  {
    what: 'a section that is text',
    change: [/restapi:\n.*\n/, 'restapi: on\n'],
    says: 'p.yml:5: restapi: expected a mapping, found true',
  },
  {
    what: 'a tag that is neither true nor false',
    change: [/$/, 'tags: {nofailover: [yes]}\n'],
    says: 'p.yml:13: tags.nofailover: expected true or false, found a list',
  },
  ...otherStores.map(store => ({
    what: `another store, ${store},`,
    change: [/$/, `${store}: {host: localhost}\n`] as const,
    says: `p.yml:13: ${store}: expected an etcd3 section: etcd is the store here (see docs/other-stores.md for the way over)`,
  })),
  {
    what: 'a bootstrap method without a command',
    change: [/$/, 'bootstrap: {method: wal_e, wal_e: {no_params: true}}\n'],
    says: 'p.yml:13: bootstrap.wal_e.command: expected a program that fills the data directory, but it is missing',
  },
]
for (const { what, change, says } of broken) {
  test(`${what} ends with file, line, key path and what was expected`, () => {
    assert.throws(
      () => read(minimal.replace(...change)),
      (error: unknown) => {
        assert.ok(error instanceof UserError)
        assert.equal(error.message, says)
        assert.equal(error.exitCode, 1)
        return true
      },
    )
  })
}

interface Warned {
  readonly what: string
  readonly add: string
  readonly says: readonly string[]
}
const warned: readonly Warned[] = [
  {
    what: 'an unknown key',
    add: 'scpe: x\n',
    says: ['p.yml:13: scpe is not a known setting and has no effect'],
  },
  {
    what: 'an unknown dynamic key',
    add: 'bootstrap:\n  dcs:\n    ttll: 20\n',
    says: ['p.yml:15: bootstrap.dcs.ttll is not a known setting and has no effect'],
  },
  {
    what: 'a contradiction between a tag and its priority',
    add: "tags:\n  nofailover: yes\n  failover_priority: '1'\n",
    says: [
      'p.yml:14: tags.nofailover Conflicting configuration between nofailover: True and failover_priority: 1. Defaulting to nofailover: True',
    ],
  },
  {
    what: 'a contradiction between not being synchronous and its priority',
    add: 'tags: {nosync: true, sync_priority: 2}\n',
    says: [
      'p.yml:13: tags.nosync Conflicting configuration between nosync: True and sync_priority: 2. Defaulting to nosync: True',
    ],
  },
  {
    what: 'a priority of 0 beside a tag that allows it',
    add: 'tags: {nofailover: false, failover_priority: 0}\n',
    says: [
      'p.yml:13: tags.nofailover Conflicting configuration between nofailover: False and failover_priority: 0. Defaulting to nofailover: False',
    ],
  },
  {
    what: 'a boolean tag in quotes',
    add: "tags:\n  nofailover: 'no'\n",
    says: [
      'p.yml:14: tags.nofailover is text, and any text counts as true: write nofailover: true or nofailover: false without quotes',
    ],
  },
  {
    what: 'an option that the agent sets itself',
    add: 'bootstrap:\n  initdb:\n  - pwfile: x\n  - locale: C\n',
    says: ['p.yml:14: bootstrap.initdb leaves out --pwfile: it is set by the agent itself'],
  },
  {
    what: 'bootstrap.users',
    add: 'bootstrap: {users: {a: {}}}\n',
    says: ['p.yml:13: bootstrap.users creates no users: use post_bootstrap'],
  },
  {
    what: 'a dynamic value out of its range',
    add: 'bootstrap:\n  dcs:\n    ttl: 10\n    master_start_timeout: -1\n',
    says: [
      'p.yml:14: bootstrap.dcs.retry_timeout makes loop_wait 10 + 2 * retry_timeout 10 more than ttl 20: loop_wait 1 and retry_timeout 9 are used',
      'p.yml:15: bootstrap.dcs.ttl 10 is below the minimum: 20 is used',
      'p.yml:16: bootstrap.dcs.master_start_timeout -1 is below the minimum: 0 is used',
    ],
  },
  {
    what: 'a controlled parameter out of its range',
    add: 'bootstrap:\n  dcs:\n    postgresql:\n      parameters:\n        Max_Connections: 5\n',
    says: [
      'p.yml:17: bootstrap.dcs.postgresql.parameters.Max_Connections expected a whole number from 25, found 5: 100 is used',
    ],
  },
  {
    what: 'an unknown log level',
    add: 'log: {level: LOUD}\n',
    says: ['p.yml:13: log.level is no level (DEBUG ... CRITICAL): INFO is used'],
  },
  {
    what: 'a number of threads, of which there are none',
    add: 'thread_pool_size: 8\nthread_stack_size: 512kB\n',
    says: [
      'p.yml:13: thread_pool_size is accepted, but this version does not act on it',
      'p.yml:14: thread_stack_size is accepted, but this version does not act on it',
    ],
  },
  {
    what: 'a section that has no effect yet',
    add: 'citus: {group: 0}\n',
    says: ['p.yml:13: citus is accepted, but this version does not act on it'],
  },
  {
    what: 'a number of threads, of which the REST server has none',
    add: 'thread_pool_size: 5\n',
    says: ['p.yml:13: thread_pool_size is accepted, but this version does not act on it'],
  },
]
for (const { what, add, says } of warned) {
  test(`${what} is accepted with a warning that names file and line`, () => {
    assert.deepEqual(read(minimal + add).warnings.map(printWarning), says)
  })
}

test('a password that YAML reads as a number is text, and the warning does not show it', () => {
  const config = read(minimal.replace("'s3cret'", '987654'))
  assert.equal(config.postgres.replication.password, '987654')
  assert.equal(config.warnings.length, 1)
  assert.equal(JSON.stringify(config.warnings).includes('987654'), false)
})

test('tags keep the order and the types of the file', () => {
  const { tags } = read(`${minimal}tags: {zone: a, nofailover: no, failover_priority: '1', rank: 7}\n`)
  assert.deepEqual(Object.entries(tags), [
    ['zone', 'a'],
    ['nofailover', false],
    ['failover_priority', '1'],
    ['rank', 7],
  ])
})

test('controlled parameters of a single node have no effect and say so', () => {
  const config = read(
    minimal.replace('  data_dir', '  parameters: {max_connections: 500, work_mem: 8MB}\n  data_dir'),
  )
  assert.deepEqual(config.warnings.map(printWarning), [
    "p.yml:10: postgresql.parameters.max_connections has no effect here: it is decided by the cluster's configuration",
  ])
})

test('accounts directly under postgresql, as before authentication existed, are read', () => {
  const old =
    '  superuser: {username: su, password: a}\n  replication: {username: re}\n  pg_rewind: {username: rw}\n'
  const config = read(minimal.replace(/ {2}authentication:\n.*\n/, old))
  assert.equal(config.postgres.superuser.username, 'su')
  assert.equal(config.postgres.replication.username, 're')
  assert.equal(config.postgres.rewind.username, 'rw')
  assert.deepEqual(Object.keys(config.postgres.raw).includes('superuser'), false)
})

const namespaces: readonly (readonly [string, string])[] = [
  ['/service/', '/service'],
  ['db', '/db'],
  ['/a//b/', '/a/b'],
  ['/', ''],
  ["''", ''],
]
for (const [text, want] of namespaces) {
  test(`namespace ${text} means ${want === '' ? 'the root' : want}`, () => {
    assert.equal(read(`namespace: ${text}\n${minimal}`).namespace, want)
  })
}

const listens: readonly (readonly [string, string, number])[] = [
  ['0.0.0.0:5432', '0.0.0.0', 5432],
  ['10.0.0.1,127.0.0.1:6432', '10.0.0.1,127.0.0.1', 6432],
  ["'*:5432'", '*', 5432],
  ["':5432'", '*', 5432],
  ['localhost', 'localhost', 5432],
  ["'[::1]:5433'", '::1', 5433],
]
for (const [text, addresses, port] of listens) {
  test(`postgresql.listen ${text} is ${addresses} and port ${port}`, () => {
    const { postgres } = read(minimal.replace('listen: 10.0.0.1:5432', `listen: ${text}`))
    assert.deepEqual([postgres.listenAddresses, postgres.port], [addresses, port])
  })
}

test('PATRONI_ variables override the file and disappear from the environment', async () => {
  const env: NodeJS.ProcessEnv = {
    PATH: '/bin',
    PATRONI_NAME: 'pg9',
    PATRONI_ETCD3_HOSTS: "'e1:2379',e2:2380",
    PATRONI_SUPERUSER_PASSWORD: '007',
    PATRONI_POSTGRESQL_DATA_DIR: '/other',
    PATRONI_RESTAPI_USERNAME: 'u',
    PATRONI_RESTAPI_PASSWORD: 'p',
    PATRONI_LOGLEVEL: 'debug',
    PATRONI_SCOPE: '',
    PATRONI_UNKNOWN_THING: 'x',
  }
  const config = await loadLocalConfig(seed, env)
  assert.deepEqual(env, { PATH: '/bin' })
  assert.equal(config.name, 'pg9')
  assert.equal(config.scope, 'pgsql')
  assert.deepEqual(config.etcd.endpoints, ['http://e1:2379', 'http://e2:2380'])
  assert.equal(config.postgres.superuser.password, '007')
  assert.equal(config.postgres.superuser.username, 'postgres')
  assert.equal(config.postgres.dataDir, '/other')
  assert.deepEqual(config.rest.authentication, { username: 'u', password: 'p' })
  assert.equal(config.log.level, 'debug')
})

test('a wrong value in a variable is told by the variable, not by the file', async () => {
  await assert.rejects(loadLocalConfig(seed, { PATRONI_RESTAPI_LISTEN: 'x:y' }), {
    message: 'environment variable PATRONI_RESTAPI_LISTEN: restapi.listen: expected host:port, found "x:y"',
  })
})

test('the whole text may come from PATRONI_CONFIGURATION, and overrides still count', async () => {
  const config = await loadLocalConfig(undefined, { PATRONI_CONFIGURATION: minimal, PATRONI_NAME: 'pg7' })
  assert.equal(config.name, 'pg7')
  assert.equal(config.file, 'PATRONI_CONFIGURATION')
})

test('a file that is missing with nothing in the environment is one clear line', async () => {
  await assert.rejects(loadLocalConfig('/nonexistent/p.yml', {}), {
    name: 'UserError',
    message: '/nonexistent/p.yml: no such file or directory, and no PATRONI_* variable is set',
  })
})

test('a directory is read in name order and merged deep, with the right file in messages', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pgherd-config-'))
  try {
    await writeFile(join(dir, '10-base.yml'), minimal)
    await writeFile(join(dir, '20-more.yaml'), 'postgresql:\n  port_typo: 1\n  data_dir: /second\n')
    await writeFile(join(dir, 'ignored.txt'), '{')
    const config = await loadLocalConfig(dir, {})
    assert.equal(config.postgres.dataDir, '/second')
    assert.equal(config.postgres.port, 5432)
    assert.deepEqual(config.warnings.map(printWarning), [
      `${join(dir, '20-more.yaml')}:2: postgresql.port_typo is not a known setting and has no effect`,
    ])
  } finally {
    await rm(dir, { recursive: true })
  }
})
