// The rest of what two peers of one VRRP instance do to each other: frozen processes, nopreempt, unicast, version 3, different
// lists and intervals, checks, a partition; Debian's keepalived and our proxy in both directions.

import assert from 'node:assert/strict'
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after, afterEach } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { type Pair, type Peer, type Program, VrrpStage } from '../support/vrrp-stage.ts'

const SEED = path.resolve(import.meta.dirname, '../fixtures/seed')
const stage = await VrrpStage.open({ after })
const directions: readonly (readonly [Program, Program])[] = [
  ['pgherd', 'keepalived'],
  ['keepalived', 'pgherd'],
]

let running: Pair | undefined
/** Also after a failure: pairs that nobody looks at would slow the next ones down. */
afterEach(async () => {
  await Promise.all([running?.first.host.kill(), running?.second.host.kill()])
  running = undefined
})

/** The second one alone first, so that it is known to run when the test begins. */
async function started(pair: Pair): Promise<Pair> {
  running = pair
  await pair.second.server.start()
  await pair.heldBy(pair.second)
  await pair.first.server.start()
  await pair.heldBy(pair.first)
  return pair
}

for (const [first, second] of directions) {
  test(`${first} frozen is replaced by ${second}; ours holds no address then and gives way when it is thawed`, async t => {
    const pair = await started(await stage.pair(first, second))
    // keepalived is two processes, and the one that was started sends no adverts; of ours the guard runs on.
    const frozen = first === 'pgherd' ? pair.first.server : pair.first.host
    const ms = await pair.takenBy(pair.second, () => frozen.freeze())
    t.diagnostic(`frozen: ${Math.round(ms)} ms`)
    if (first === 'pgherd') await pair.heldBy(pair.second)
    else await pair.heldBy(pair.first, pair.second)
    await frozen.thaw()
    await pair.heldBy(pair.first)
  })

  test(`nopreempt: ${first} that comes back leaves the address to ${second}`, async () => {
    const pair = await stage.pair(first, second, { lines: ['nopreempt'] })
    running = pair
    await pair.first.server.start()
    await pair.heldBy(pair.first)
    await pair.second.server.start()
    await pair.takenBy(pair.second, () => pair.first.server.stop())
    await pair.first.server.start()
    await sleep(8_000)
    await pair.heldBy(pair.second)
  })

  test(`unicast with PASS: ${first} and ${second} agree, by orderly stop and by kill`, async t => {
    const pair = await started(await stage.pair(first, second, { isUnicast: true, password: 'schlüßel' }))
    const stopMs = await pair.takenBy(pair.second, () => pair.first.server.stop())
    await pair.takenBy(pair.first, () => pair.first.server.start())
    const killMs = await pair.takenBy(pair.second, () => pair.first.host.kill())
    t.diagnostic(`unicast: stop ${Math.round(stopMs)} ms, kill ${Math.round(killMs)} ms`)
  })

  test(`version 3 at one advert a second: ${first} and ${second} agree`, async t => {
    const pair = await started(await stage.pair(first, second, { version: 3 }))
    const ms = await pair.takenBy(pair.second, () => pair.first.server.stop())
    t.diagnostic(`version 3, stop: ${Math.round(ms)} ms`)
    await pair.takenBy(pair.first, () => pair.first.server.start())
  })

  test(`IPv6: ${first} and ${second} agree, and a kill moves both addresses`, async () => {
    // As people write them: the kernel and the wire say fd77::210.
    const addresses = ['fe80::ffff:210/64', 'FD77:0::210/64']
    const pair = await started(await stage.pair(first, second, { version: 3, addresses }))
    await pair.first.host.kill()
    if (first === 'pgherd') await pair.heldBy(pair.second)
    else await pair.heldBy(pair.first, pair.second)
    const ours = first === 'pgherd' ? pair.first : pair.second
    const left = await stage.network.inside(ours.host, ['ip', '-6', '-br', 'address', 'show', 'dev', 'eth0'])
    assert.equal(left.includes('fd77::210/'), first === 'keepalived', left)
    const log = await readFile(ours.server.logFile, 'utf8')
    assert.doesNotMatch(log, /tells other addresses|was gone from eth0/)
  })

  test(`a checksum of version 3 without pseudo header is understood: ${first} and ${second}`, async () => {
    const lines = first === 'keepalived' ? ['v3_checksum_as_v2'] : []
    const pair = await started(await stage.pair(first, second, { version: 3, lines }))
    await sleep(5_000)
    await pair.heldBy(pair.first)
  })

  test(`an interval of another length in version 2 makes two masters, which our log says: ${first} and ${second}`, async () => {
    const pair = await stage.pair(first, second, { secondLines: ['advert_int 2'] })
    running = pair
    await pair.start()
    await pair.heldBy(pair.first, pair.second)
    const ours = pair.first.program === 'pgherd' ? pair.first : pair.second
    await says(ours, /advert of 10\.77\.0\.\d+ refused: advert_int \d, ours is \d/)
  })

  test(`a link that goes: ${first} is in fault, ${second} takes over and gives it back`, async t => {
    const pair = await started(await stage.pair(first, second))
    const ms = await pair.takenBy(pair.second, () => stage.network.unplug(pair.first.host))
    t.diagnostic(`link lost: ${Math.round(ms)} ms`)
    await stage.network.plug(pair.first.host)
    await pair.heldBy(pair.first)
  })

  test(`a partition: ${first} and ${second} both hold the address, and after it the lower one gives way`, async t => {
    const pair = await started(await stage.pair(first, second))
    await stage.network.cut(pair.first.host, pair.second.host)
    await pair.heldBy(pair.first, pair.second)
    await stage.network.heal()
    const ms = await pair.heldBy(pair.first)
    t.diagnostic(`both held it for ${Math.round(ms)} ms after the network healed`)
    assert.ok(ms < 5_000)
  })

  test(`a check with a weight moves the address from ${first} to ${second}, and a failing one of weight 0 is a fault`, async () => {
    const file = path.join(stage.work.data, `switch-${first}`)
    const script = (name: string, of: string, weight: number) => [
      ...[`vrrp_script ${name} {`, `    script "/usr/bin/test ! -e ${of}"`, '    interval 1'],
      ...[`    weight ${weight}`, '    fall 2', '    rise 2', '}'],
    ]
    const blocks = [...script('minus', `${file}-minus`, -20), ...script('must', `${file}-must`, 0)]
    const firstLines = ['track_script {', '    minus', '    must', '}']
    const pair = await started(await stage.pair(first, second, { blocks, firstLines }))
    for (const name of [`${file}-minus`, `${file}-must`]) {
      await writeFile(name, '')
      await pair.heldBy(pair.second)
      await rm(name)
      await pair.heldBy(pair.first)
    }
  })
}

test('the real keepalived in front of our proxy, with the seed’s two files: its pgrep finds a process haproxy', async () => {
  const { network, work } = stage
  const host = await network.host('seed')
  await network.inside(host, ['ip', 'link', 'set', 'eth0', 'down'])
  await network.inside(host, ['ip', 'link', 'set', 'eth0', 'name', 'ens33'])
  await network.inside(host, ['ip', 'link', 'set', 'ens33', 'up'])
  await network.inside(host, ['ip', 'address', 'add', '192.168.234.205/24', 'dev', 'ens33'])
  const [proxyFile, file] = [host.path('haproxy.cfg'), host.path('keepalived.conf')]
  await copyFile(path.join(SEED, 'haproxy.cfg'), proxyFile)
  await copyFile(path.join(SEED, 'keepalived-haproxy.conf'), file)
  const proxy = host.server({ name: 'proxy', command: [...work.program, 'proxy', '-f', proxyFile] })
  const pids = [`--pid=${host.path('run/k.pid')}`, `--vrrp_pid=${host.path('run/v.pid')}`]
  const words = [
    'keepalived',
    '--dont-fork',
    '--log-console',
    '--log-detail',
    '--vrrp',
    ...pids,
    `--use-file=${file}`,
  ]
  const keepalived = host.server({ name: 'keepalived', command: words, privileged: true })
  await keepalived.start()
  await proxy.start()
  await said(keepalived.logFile, /Changing effective priority from 100 to 110/)
  await proxy.stop()
  await said(keepalived.logFile, /Changing effective priority from 110 to 100/)
})

async function says(peer: Peer, pattern: RegExp): Promise<void> {
  await said(peer.server.logFile, pattern)
}

async function said(file: string, pattern: RegExp): Promise<void> {
  await waitFor(`${pattern} in ${file}`, { withinMs: 30_000 }, async () =>
    pattern.test(await readFile(file, 'utf8')),
  )
}
