// The care for virtual addresses on real interfaces: several of them, both families, somebody else's hand, what an earlier
// process left behind, and what the system must offer.

import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { holderOn, VIP, VIP6, VipStage, withCapabilities } from '../support/vip-stage.ts'

const SECOND = '10.77.0.211'
const stage = await VipStage.open(
  { after },
  { addresses: [`${VIP}/24`, SECOND, `${VIP6}/64`], label: 'eth0:vip' },
  ['a', 'b'],
)
const [a, b] = [stage.holder('a'), stage.holder('b')]
const { network, client } = stage
await network.inside(client, ['ip', '-6', 'address', 'add', 'fd77::1/64', 'dev', 'eth0', 'nodad'])

/** What is on the interface of a host, one line each. */
async function onInterface(host: typeof a.host): Promise<string> {
  return await network.inside(host, ['ip', '-o', 'address', 'show', 'dev', 'eth0'])
}

async function holds(
  host: typeof a.host,
  address: string,
  wanted: boolean,
  withinMs = 15_000,
): Promise<void> {
  const what = `${address} ${wanted ? 'on' : 'off'} ${host.name}`
  await waitFor(what, { withinMs, everyMs: 20 }, async note => {
    const text = await onInterface(host)
    note(text)
    return text.includes(` ${address}/`) === wanted
  })
}

/** Who serves at an address, asked from the client's host. */
function askFrom(address: string): Promise<string> {
  const program = `fetch('http://${address}:7000/status', { signal: AbortSignal.timeout(5000) }).then(r => r.json()).then(d => console.log(d.proxy.name))`
  return network.inside(client, [process.execPath, '-e', program]).then(text => text.trim())
}

async function logOf(holder: typeof a): Promise<string> {
  return await readFile(holder.server.logFile, 'utf8')
}

async function logSays(holder: typeof a, pattern: RegExp): Promise<void> {
  await waitFor(`${holder.name} to say ${pattern}`, { withinMs: 45_000, everyMs: 50 }, async () =>
    pattern.test(await logOf(holder)),
  )
}

test('an address that an earlier process left behind is removed at the start, before anybody is elected', async () => {
  await network.inside(b.host, ['ip', 'address', 'add', `${SECOND}/32`, 'dev', 'eth0'])
  await a.server.start()
  await logSays(a, /10\.77\.0\.211 is not added: .* still answers for it/)
  assert.equal((await onInterface(a.host)).includes(VIP), false)
  await b.server.start()
  await logSays(b, /removed 10\.77\.0\.211 from eth0: an earlier owner left it behind/)
  await stage.settle()
})

test('several addresses of both families move together, with prefix length and label, and the client follows', async () => {
  const owner = await stage.owner()
  const text = await onInterface(owner.host)
  assert.match(text, /inet 10\.77\.0\.210\/24 .*eth0:vip/)
  assert.match(text, /inet 10\.77\.0\.211\/32 .*eth0:vip/)
  assert.match(text, /inet6 fd77::210\/64/)
  for (const address of [VIP, SECOND, `[${VIP6}]`]) assert.equal(await askFrom(address), owner.name)
  const dcs = `etcd3://${stage.etcd.endpoints[0]}/service`
  const table = await network.inside(client, [...stage.work.program, 'ctl', '-d', dcs, 'proxy', 'pgsql'])
  assert.match(
    table,
    new RegExp(`^\\| write +\\| ${owner.name} +\\| a \\(150, impaired\\), b \\(140, impaired\\)`, 'm'),
  )
  const heir = owner === a ? b : a
  await owner.server.stop()
  await holds(heir.host, VIP6, true)
  assert.doesNotMatch(await onInterface(owner.host), /10\.77\.0\.21|fd77::210/)
  for (const address of [VIP, SECOND, `[${VIP6}]`]) assert.equal(await askFrom(address), heir.name)
  await owner.server.start()
  await stage.settle()
})

test('an address that somebody takes away is put back and announced', async () => {
  const owner = await stage.owner()
  const beganMs = Date.now()
  await network.inside(owner.host, ['ip', 'address', 'del', `${VIP}/24`, 'dev', 'eth0'])
  await logSays(owner, /10\.77\.0\.210 was gone from eth0 and is there again/)
  await holds(owner.host, VIP, true)
  const again = () => stage.sights.some(({ kind, atMs }) => kind === 'announcement' && atMs > beganMs)
  await waitFor('an announcement', { withinMs: 5_000, everyMs: 20 }, again)
})

test('sessions through an address that goes away are reset, not left waiting', async () => {
  const owner = await stage.owner()
  const program = `const s = require('net').connect(5000, '${VIP}', () => console.log('connected')); s.on('error', e => { console.log(e.code); process.exit() })`
  const words = [...client.enter, process.execPath, '-e', program]
  const { spawn } = await import('node:child_process')
  const child = spawn(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8')
  })
  await waitFor('a session', { withinMs: 10_000, everyMs: 10 }, () => said.includes('connected'))
  await owner.server.stop()
  await waitFor('its reset', { withinMs: 10_000, everyMs: 10 }, () => said.includes('ECONNRESET'))
  await owner.server.start()
  await stage.settle()
})

test('the guard killed, the owner drops the addresses at once and takes them again with a new guard', async () => {
  const owner = await stage.owner()
  const { pid } = owner.server
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  process.kill(Number(children.trim().split(' ')[0]), 'SIGKILL')
  await logSays(owner, /vip write: released: the guard process is gone/)
  await stage.settle()
})

test('vip clear leaves alone what a process keeps, and removes what none does', async t => {
  const owner = await stage.owner()
  const { uid, gid } = owner.host.account
  const clear = [
    ...withCapabilities(uid, gid),
    ...stage.work.program,
    'vip',
    'clear',
    owner.host.path('proxy.yml'),
  ]
  await assert.rejects(network.inside(owner.host, clear), /a running process keeps them: nothing was removed/)
  assert.match(await onInterface(owner.host), /10\.77\.0\.210/)
  const idle = await network.host('idle')
  await network.inside(idle, ['ip', 'address', 'add', `${VIP}/24`, 'dev', 'eth0', 'noprefixroute'])
  t.diagnostic('an idle host has the address as a killed process would leave it')
  const said = await network.inside(idle, clear)
  assert.match(said, /^removed 10\.77\.0\.210 from eth0/)
  assert.doesNotMatch(await onInterface(idle), /10\.77\.0\.210/)
})

test('without capabilities, or without the interface, the start ends with one line that says the cure', async () => {
  const { uid, gid } = client.account
  const file = b.host.path('proxy.yml')
  const bare = client.server({ name: 'bare', command: [...stage.work.program, 'proxy', file] })
  await bare.start()
  assert.equal((await bare.exit).code, 1)
  assert.match(
    await readFile(bare.logFile, 'utf8'),
    /^pgherd: vip: this process lacks CAP_NET_ADMIN and CAP_NET_RAW; with systemd: AmbientCapabilities=/m,
  )
  const other = client.path('other.yml')
  await writeFile(other, (await readFile(file, 'utf8')).replaceAll('eth0', 'eth7'))
  await chmod(other, 0o644)
  const command = [...withCapabilities(uid, gid), ...stage.work.program, 'proxy', other]
  const wrong = client.server({ name: 'wrong', command, privileged: true })
  await wrong.start()
  assert.equal((await wrong.exit).code, 1)
  assert.match(
    await readFile(wrong.logFile, 'utf8'),
    /^pgherd: 10\.77\.0\.210: this host has no interface eth7$/m,
  )
})

test('a callback in Patroni’s form is told of every move, also of the owner’s death', async () => {
  const host = await network.host('cloud')
  const script = host.path('callback.sh')
  const told = host.path('told')
  await writeFile(script, `#!/bin/sh\necho "$PGHERD_VIP $*" >> ${told}\n`)
  await chmod(script, 0o755)
  const vip = { driver: 'command', addresses: ['203.0.113.9'], callback: script, callback_roles: 'master' }
  const server = await holderOn(stage.work, host, stage.etcd.endpoints, { ...vip }, 'cloud')
  const lines = async () => await readFile(told, 'utf8').catch(() => '')
  await server.start()
  await waitFor('the addition', { withinMs: 45_000, everyMs: 50 }, async () =>
    (await lines()).includes('on_role_change master pgsql'),
  )
  await server.kill()
  await waitFor('the removal', { withinMs: 45_000, everyMs: 50 }, async () =>
    (await lines()).includes('on_role_change replica pgsql'),
  )
  assert.equal(await lines(), 'cloud on_role_change master pgsql\ncloud on_role_change replica pgsql\n')
})
