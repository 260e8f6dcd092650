import assert from 'node:assert/strict'
import test from 'node:test'
import { localConfig } from '../../../../src/config/agent/local.ts'
import { parseYamlMapping } from '../../../../src/config/agent/yaml.ts'
import { parseProxyConfig } from '../../../../src/config/proxy/load.ts'
import { parseVipAddress } from '../../../../src/config/vip/address.ts'

function proxy(vip: string): ReturnType<typeof parseProxyConfig> {
  return parseProxyConfig(`scope: pgsql\netcd: {hosts: [10.0.0.4:2379]}\nvip:\n${vip}`, 'proxy.yml')
}

test('a name, an address and an interface are enough', () => {
  const { vips } = proxy('  write:\n    addresses: [10.0.0.9]\n    interface: eth0\n')
  assert.deepEqual(vips, [
    {
      name: 'write',
      driver: 'etcd',
      follow: 'proxy',
      member: undefined,
      priority: 100,
      addresses: [
        { address: '10.0.0.9', family: 4, prefixLength: 32, interfaceName: 'eth0', label: undefined },
      ],
      stallMs: 1_000,
      ttlSeconds: 5,
      preemptAfterMs: undefined,
    },
  ])
})

test('everything that can be said of a virtual IP is read', () => {
  const { vips } = proxy(
    '  reads:\n    addresses: [10.0.0.9/24, "FD00::9"]\n    interface: eth0\n    label: eth0:vip\n    follow: replica\n' +
      '    member: pg1\n    priority: 150\n    ttl: 2\n    preempt_after: 30s\n    stall: 500ms\n',
  )
  const [vip] = vips
  assert.deepEqual(
    vip?.addresses.map(({ address, prefixLength, label }) => [address, prefixLength, label]),
    [
      ['10.0.0.9', 24, 'eth0:vip'],
      ['fd00::9', 128, undefined],
    ],
  )
  assert.deepEqual([vip?.follow, vip?.member, vip?.priority, vip?.stallMs], ['replica', 'pg1', 150, 500])
  assert.ok(vip?.driver === 'etcd')
  assert.deepEqual([vip.ttlSeconds, vip.preemptAfterMs], [2, 30_000])
})

test('commands are words, and a callback stands for both of them', () => {
  const { vips } = proxy(
    '  cloud:\n    driver: command\n    addresses: 203.0.113.9\n    add: /usr/local/bin/eip attach\n    del: [/usr/local/bin/eip, detach]\n' +
      '  old:\n    driver: command\n    addresses: 203.0.113.10\n    callback: /etc/patroni/loadvip.sh\n    callback_roles: master\n',
  )
  const [cloud, old] = vips
  assert.ok(cloud?.driver === 'command' && old?.driver === 'command')
  assert.deepEqual(cloud.commands.add, ['/usr/local/bin/eip', 'attach'])
  assert.deepEqual(cloud.commands.del, ['/usr/local/bin/eip', 'detach'])
  assert.deepEqual([old.commands.callback, old.callbackRole], [['/etc/patroni/loadvip.sh'], 'master'])
})

const mistakes: readonly [string, string, RegExp][] = [
  [
    'no addresses',
    '  w:\n    interface: eth0\n',
    /^proxy\.yml:4: vip\.w\.addresses: expected a list of addresses/,
  ],
  [
    'no interface',
    '  w:\n    addresses: [10.0.0.9]\n',
    /^proxy\.yml:4: vip\.w\.interface: expected the name of an interface/,
  ],
  [
    'a name in place of an address',
    '  w:\n    addresses: [db.example]\n    interface: eth0\n',
    /^proxy\.yml:5: vip\.w\.addresses: expected addresses such as/,
  ],
  [
    'a prefix that is too long',
    '  w:\n    addresses: [10.0.0.9/33]\n    interface: eth0\n',
    /addresses: expected addresses such as/,
  ],
  [
    'an unknown key',
    '  w:\n    addresses: [10.0.0.9]\n    interface: eth0\n    prio: 3\n',
    /^proxy\.yml:7: vip\.w\.prio: unknown key/,
  ],
  [
    'an unknown driver',
    '  w:\n    driver: vvrp\n    addresses: [10.0.0.9]\n',
    /^proxy\.yml:5: vip\.w\.driver: expected etcd or command or none, found "vvrp"/,
  ],
  [
    'a priority out of range',
    '  w:\n    addresses: [10.0.0.9]\n    interface: eth0\n    priority: 255\n',
    /^proxy\.yml:7: vip\.w\.priority: expected a whole number from 1 to 254/,
  ],
  [
    'a stall as long as the lease',
    '  w:\n    addresses: [10.0.0.9]\n    interface: eth0\n    ttl: 2\n    stall: 2s\n',
    /^proxy\.yml:8: vip\.w\.stall: expected less than nine tenths of ttl/,
  ],
  [
    'a label of another interface',
    '  w:\n    addresses: [10.0.0.9]\n    interface: eth0\n    label: eth1:vip\n',
    /vip\.w\.label: expected at most 15 characters that begin with eth0/,
  ],
  [
    'an address twice',
    '  w:\n    addresses: [10.0.0.9]\n    interface: eth0\n  r:\n    addresses: [10.0.0.9]\n    interface: eth0\n',
    /vip\.r: expected 10\.0\.0\.9 only once, but w has it too/,
  ],
  [
    'a relative command',
    '  w:\n    driver: command\n    addresses: [10.0.0.9]\n    add: eip\n    del: eip\n',
    /vip\.w\.add: expected a command that begins with an absolute path/,
  ],
  [
    'an addition without removal',
    '  w:\n    driver: command\n    addresses: [10.0.0.9]\n    add: /bin/eip\n',
    /vip\.w\.add: expected commands add and del, or a callback/,
  ],
  [
    'commands without their driver',
    '  w:\n    addresses: [10.0.0.9]\n    interface: eth0\n    add: /bin/eip\n',
    /vip\.w\.add: expected nothing here: it belongs to driver command/,
  ],
]

for (const [what, text, message] of mistakes) {
  test(`${what}: one line with the place`, () => {
    assert.throws(
      () => proxy(text),
      (error: unknown) =>
        error instanceof Error && message.test(error.message) && !error.message.includes('\n'),
    )
  })
}

test('without etcd nobody can elect an owner', () => {
  const text =
    'scope: pgsql\npatroni: [http://10.0.0.1:8008]\nvip:\n  w:\n    addresses: [10.0.0.9]\n    interface: eth0\n'
  assert.throws(() => parseProxyConfig(text, 'proxy.yml'), /vip\.w\.driver: expected etcd to be configured/)
})

test('an agent follows its own server, never a proxy', () => {
  const text = (follow: string) =>
    `scope: pgsql\nname: pg1\netcd3: {hosts: [10.0.0.4:2379]}\npgherd:\n  vip:\n    write:\n      addresses: [10.0.0.9]\n      interface: eth0\n${follow}` +
    'restapi: {listen: 0.0.0.0:8008, connect_address: 10.0.0.1:8008}\n' +
    'postgresql: {listen: 0.0.0.0:5432, connect_address: 10.0.0.1:5432, data_dir: /data, authentication: {superuser: {username: p, password: x}, replication: {username: r, password: x}}}\n'
  const read = (follow: string) =>
    localConfig({ file: 'patroni.yml', ...parseYamlMapping(text(follow), 'patroni.yml') }, 'postgres')
  assert.equal(read('').vips[0]?.follow, 'leader')
  assert.equal(read('      follow: replica\n').vips[0]?.follow, 'replica')
  assert.throws(
    () => read('      follow: proxy\n'),
    /patroni\.yml:9: pgherd\.vip\.write\.follow: expected leader or replica/,
  )
})

test('addresses have a prefix of their own length unless one is given', () => {
  assert.deepEqual(parseVipAddress('10.0.0.9'), { address: '10.0.0.9', family: 4, prefixLength: 32 })
  assert.deepEqual(parseVipAddress('fd00:0::9/64'), { address: 'fd00::9', family: 6, prefixLength: 64 })
  for (const text of ['', '10.0.0.9/0', '10.0.0.9/x', '10.0.0', 'fd00::9/129', '10.0.0.9 ']) {
    assert.equal(parseVipAddress(text)?.address, text === '10.0.0.9 ' ? '10.0.0.9' : undefined)
  }
})
