// keepalived.conf as configuration: the files of the seed byte for byte, every keyword that people use, mistakes and traps.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { parseKeepalived, printRemark } from '../../../../src/config/keepalived/load.ts'
import { tellTakeover } from '../../../../src/config/keepalived/predict.ts'
import { isKeepalivedText } from '../../../../src/config/keepalived/read.ts'
import type { VrrpInstanceConfig } from '../../../../src/config/keepalived/types.ts'
import { vipsOf } from '../../../../src/config/keepalived/vips.ts'
import { ownAdvert } from '../../../../src/vip/vrrp/own-advert.ts'

const SEED = path.resolve(import.meta.dirname, '../../../fixtures/seed')
const strict = { lenient: false, selfNames: ['haproxy'] }

const head = 'vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress { 10.0.0.9 }\n'

function read(text: string): readonly string[] {
  const { remarks } = parseKeepalived(text, 'k.conf', strict)
  return remarks.map(remark => printRemark('k.conf', remark))
}

function instance(lines: string): VrrpInstanceConfig {
  const [first] = parseKeepalived(`${head}${lines}\n}\n`, 'k.conf', strict).config.instances
  assert.ok(first !== undefined)
  return first
}

test('the seed’s keepalived.conf of the proxies loads as it is', async () => {
  const text = await readFile(path.join(SEED, 'keepalived-haproxy.conf'), 'utf8')
  const { config, remarks } = parseKeepalived(text, 'keepalived.conf', strict)
  const [only] = config.instances
  assert.equal(config.instances.length, 1)
  assert.deepEqual(
    [only?.interfaceName, only?.routerId, only?.priority, only?.advertMs, only?.version, only?.startsAs],
    ['ens33', 210, 100, 1000, 2, 'backup'],
  )
  assert.deepEqual(only?.addresses, [
    { address: '192.168.234.210', prefixLength: 32, interfaceName: 'ens33', label: undefined },
  ])
  assert.deepEqual(only?.trackedChecks, [{ check: 'check_haproxy', weight: 10, isReversed: false }])
  const check = config.checks.get('check_haproxy')
  assert.deepEqual(check?.question, { kind: 'process', name: 'haproxy', isPart: false, isSelf: true })
  assert.equal(check?.intervalMs, 2000)
  const told = remarks.map(remark => printRemark('keepalived.conf', remark))
  assert.ok(
    told.some(line =>
      line.startsWith('keepalived.conf:5:12: script of check_haproxy: means: haproxy is alive'),
    ),
  )
})

test('the seed’s keepalived.conf of the read address loads as it is, and its piped checks are HTTP checks', async () => {
  const text = await readFile(path.join(SEED, 'keepalived-read-vip.conf'), 'utf8')
  const { config, remarks } = parseKeepalived(text, 'keepalived.conf', strict)
  const [only] = config.instances
  assert.deepEqual(
    only?.trackedChecks.map(({ check, weight }) => [check, weight]),
    [
      ['check_can_read', 10],
      ['check_replica', 5],
    ],
  )
  const urls = [...config.checks.values()].map(({ question }) => question.kind === 'http' && question.url)
  assert.deepEqual(urls, ['http://127.0.0.1:8008/replica', 'http://127.0.0.1:8008/read-only'])
  const told = remarks.map(remark => printRemark('keepalived.conf', remark))
  assert.ok(told.some(line => line.includes(':15:12: trap: script of check_can_read: is asked directly')))
  assert.ok(told.some(line => line.includes(':4:13: trap: check_leader: is tracked by no instance')))
})

test('every common keyword of an instance is read', () => {
  const one = instance(`
    state MASTER
    priority 120
    version 3
    advert_int 0.25
    preempt_delay 30
    unicast_src_ip 10.0.0.1
    unicast_peer {
      10.0.0.2
      10.0.0.3
    }
    check_unicast_src
    lower_prio_no_advert
    higher_prio_send_advert on
    v3_checksum_as_v2
    dont_track_primary
    track_interface {
      eth1 weight -20
      eth2
    }
    virtual_ipaddress {
      10.0.0.10/24 brd 10.0.0.255 dev eth3 scope global label eth3:1
    }
    virtual_ipaddress_excluded { 10.0.0.11 }
    notify_master "/etc/keepalived/up.sh 'a b'"
    notify /etc/keepalived/any.sh
    garp_master_delay 5
    garp_master_refresh 60`)
  assert.deepEqual(
    [one.startsAs, one.priority, one.version, one.advertMs, one.preemptDelayMs, one.sourceAddress],
    ['master', 120, 3, 250, 30_000, '10.0.0.1'],
  )
  assert.deepEqual(one.peers, ['10.0.0.2', '10.0.0.3'])
  assert.deepEqual(
    [one.checksPeer, one.answersLower, one.answersHigher, one.sumsMessageOnly, one.followsOwnLink],
    [true, false, true, true, false],
  )
  assert.deepEqual(one.trackedInterfaces, [
    { interfaceName: 'eth1', weight: -20, isReversed: false },
    { interfaceName: 'eth2', weight: 0, isReversed: false },
  ])
  assert.deepEqual(one.addresses[1], {
    address: '10.0.0.10',
    prefixLength: 24,
    interfaceName: 'eth3',
    label: 'eth3:1',
  })
  assert.deepEqual(
    one.excluded.map(({ address }) => address),
    ['10.0.0.11'],
  )
  assert.deepEqual(one.notify.master, ['/etc/keepalived/up.sh', 'a b'])
  assert.deepEqual(one.notify.any, ['/etc/keepalived/any.sh'])
})

test('nopreempt counts with state BACKUP, and not with state MASTER, as in keepalived', () => {
  assert.equal(instance('nopreempt').preempts, false)
  assert.equal(instance('state MASTER\nnopreempt').preempts, true)
})

test('an address of IPv6 makes it version 3; one of the other family is held but not told', () => {
  const text = head.replace('10.0.0.9', 'fd00::9\n10.0.0.9')
  const [one] = parseKeepalived(`${text}}\n`, 'k.conf', strict).config.instances
  assert.deepEqual([one?.family, one?.version, one?.group], [6, 3, 'ff02::12'])
  assert.deepEqual(
    one?.addresses.map(({ address, prefixLength }) => [address, prefixLength]),
    [['fd00::9', 128]],
  )
  assert.deepEqual(
    one?.excluded.map(({ address }) => address),
    ['10.0.0.9'],
  )
})

test('addresses of IPv6 are kept as the kernel and the wire write them, without a zone', () => {
  const own = 'unicast_src_ip FE80:0::1%eth0\nunicast_peer { FD77:0:0::2 }'
  const text = head.replace('10.0.0.9', 'FD77:0::210/64\n').concat(own, '\n}\n')
  const [one] = parseKeepalived(text, 'k.conf', strict).config.instances
  assert.deepEqual(
    [one?.addresses[0]?.address, one?.addresses[0]?.prefixLength, one?.sourceAddress, one?.peers],
    ['fd77::210', 64, 'fe80::1', ['fd77::2']],
  )
})

test('a check is reversed when its script or the instance that tracks it says so, as in keepalived', () => {
  const script = (words: string) => `vrrp_script c {\nscript /bin/true\nweight ${words}\n}\n`
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['10 reverse', 'c weight 10 reverse', true],
    ['10 reverse', 'c weight 10', true],
    ['10', 'c weight 10 reverse', true],
    ['10', 'c', false],
  ]
  for (const [own, tracked, isReversed] of rows) {
    const text = `${script(own)}${head}track_script {\n${tracked}\n}\n}\n`
    const [one] = parseKeepalived(text, 'k.conf', strict).config.instances
    assert.deepEqual(one?.trackedChecks, [{ check: 'c', weight: 10, isReversed }], `${own}, ${tracked}`)
  }
})

test('a password is the first eight bytes of its UTF-8, as in keepalived', () => {
  const bytesOf = (password: string) => {
    const text = `authentication {\nauth_type PASS\nauth_pass ${password}\n}`
    const source = '10.0.0.1'
    return ownAdvert(instance(text), 100, source, '224.0.0.18').subarray(-8).toString('hex')
  }
  assert.equal(bytesOf('geheim'), Buffer.from('geheim\0\0').toString('hex'))
  assert.equal(bytesOf('schlüssel'), Buffer.from('schlüss').toString('hex'))
  // The last character is cut in half.
  assert.equal(bytesOf('1234567ü'), `${Buffer.from('1234567').toString('hex')}c3`)
})

const stops: readonly (readonly [string, string, string])[] = [
  [
    'a keyword that is mistyped',
    `${head}advrt_int 1\n}`,
    'k.conf:5:1: advrt_int: unknown in vrrp_instance; did you mean advert_int? (--lenient goes on without it)',
  ],
  [
    'a block that is mistyped',
    `${head}}\nvrrp_scirpt a { }`,
    'k.conf:6:1: vrrp_scirpt: unknown block; did you mean vrrp_script? (--lenient goes on without it)',
  ],
  [
    'a number out of its range',
    `${head}priority 300\n}`,
    'k.conf:5:10: priority: expected a whole number from 1 to 255',
  ],
  [
    'parts of a second in version 2',
    `${head}advert_int 0.5\n}`,
    'k.conf:5:12: advert_int: version 2 counts whole seconds: write `version 3` for less',
  ],
  [
    'no interface',
    'vrrp_instance V {\nvirtual_router_id 7\nvirtual_ipaddress { 10.0.0.9 }\n}',
    'k.conf:1:15: V: an interface is missing',
  ],
  [
    'a check that is not there',
    `${head}track_script { nobody }\n}`,
    'k.conf:5:16: track_script nobody: there is no vrrp_script of this name',
  ],
  [
    'an address that is none',
    head.replace('10.0.0.9', '10.0.0.999').concat('}'),
    'k.conf:4:21: virtual_ipaddress: 10.0.0.999: expected an address such as 10.0.0.210/24',
  ],
  [
    'two instances of one id',
    `${head}}\n${head.replace('V', 'W')}}`,
    'k.conf:8:19: virtual_router_id: another instance on eth0 has this id',
  ],
  [
    'LVS',
    `${head}}\nvirtual_server 10.0.0.1 80 {\n}`,
    'k.conf:6:1: virtual_server: there is no LVS: give pgherd proxy a listener with these servers (--lenient goes on without it)',
  ],
  [
    'no instance at all',
    'global_defs {\n}',
    'k.conf:1:1: vrrp_instance: there is no vrrp_instance in this file',
  ],
]
for (const [what, text, says] of stops) {
  test(`${what} stops the start: ${says}`, () => {
    assert.throws(
      () => parseKeepalived(text, 'k.conf', strict),
      (error: Error) => error.name === 'UserError' && error.message.split('\n').includes(says),
    )
  })
}

test('with --lenient what is not known is a warning', () => {
  const { remarks } = parseKeepalived(`${head}advrt_int 1\n}`, 'k.conf', { ...strict, lenient: true })
  assert.ok(remarks.some(({ about }) => about === 'advrt_int'))
})

const traps: readonly (readonly [string, string, string])[] = [
  [
    'a password',
    'authentication {\nauth_type PASS\nauth_pass secret-too-long\n}',
    'k.conf:5:1: trap: authentication: goes over the network in clear text: it keeps out mistakes, nobody else, and of auth_pass only 8 bytes count',
  ],
  [
    'a password in version 3',
    'version 3\nauthentication { auth_type PASS\nauth_pass x }',
    'k.conf:6:1: trap: authentication: has no effect: version 3 knows no authentication',
  ],
  [
    'nopreempt beside state MASTER',
    'state MASTER\nnopreempt',
    'k.conf:6:1: trap: nopreempt: counts only with state BACKUP: this instance preempts, as with keepalived',
  ],
]
for (const [what, lines, says] of traps) {
  test(`${what} is a trap: ${says}`, () => {
    assert.ok(read(`${head}${lines}\n}`).includes(says), read(`${head}${lines}\n}`).join('\n'))
  })
}

test('weights that keep nobody out are a trap, a check of weight 0 is none', () => {
  const script = 'vrrp_script c {\nscript "pgrep -x postgres"\nweight 10\n}\n'
  const withWeight = read(`${script}${head}track_script { c }\n}`)
  assert.ok(withWeight.some(line => line.includes('with every check failing this host still becomes master')))
  const withFault = read(`${script.replace('weight 10\n', '')}${head}track_script { c }\n}`)
  assert.ok(!withFault.some(line => line.includes('still becomes master')))
})

test('a file is known by its first block', () => {
  for (const text of [
    '! Configuration\nglobal_defs {',
    '# x\n\n vrrp_script a {',
    'vrrp_instance V {',
    'virtual_server 1',
  ])
    assert.equal(isKeepalivedText(text), true, text)
  for (const text of ['scope: a\n', 'global\n maxconn 1', 'listen a', '', 'listeners:\n'])
    assert.equal(isKeepalivedText(text), false, text)
})

test('an instance becomes a virtual IP whose process may stand still for three adverts', () => {
  const { config } = parseKeepalived(`${head}version 3\nadvert_int 0.1\n}`, 'k.conf', strict)
  const [vip] = vipsOf(config, new Set(['V']))
  assert.deepEqual([vip?.name, vip?.stallMs, vip?.driver], ['V-7', 300, 'vrrp'])
})

test('the times of a takeover are told as the numbers lead to them', () => {
  const says = tellTakeover(instance('priority 110'))
  assert.equal(
    says,
    'V: this host takes over 2.6 to 3.6 s after the master was lost, 0.57 s after it was stopped',
  )
  assert.match(tellTakeover(instance('version 3\nadvert_int 0.1')), /0\.26 to 0\.36 s .* 0\.06 s/)
})
