// Virtual addresses that commands move, or nobody, and what the unit file's ExecStopPost does after everything was killed.

import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import type { Host } from '../../src/demo/host.ts'
import type { Settings } from '../../src/demo/member-config.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from '../support/netns.ts'
import { ADMIN_PORT, holderOn, VIP, withCapabilities } from '../support/vip-stage.ts'
import { makeWorkplace } from '../support/workplace.ts'

const IP = '/usr/sbin/ip'
const MOVED = '203.0.113.9'
/** A script of the host, which is there only when the file has been written. */
const LATER = '/later'
const work = await makeWorkplace({ after })
const network = await Network.create(work)
const etcd = await EtcdCluster.create(network, 1)
await etcd.start()

async function holder(
  name: string,
  vip: Settings,
): Promise<{ readonly host: Host; readonly server: Server }> {
  const host = await network.host(name)
  return { host, server: await holderOn(work, host, etcd.endpoints, vip, name) }
}

async function until(host: Host, address: string, isThere: boolean): Promise<void> {
  const what = `${address} ${isThere ? 'on' : 'off'} ${host.name}`
  await waitFor(what, { withinMs: 45_000, everyMs: 50 }, async note => {
    const text = await network.inside(host, [IP, '-o', 'address', 'show', 'dev', 'eth0'])
    note(text)
    return text.includes(` ${address}/`) === isThere
  })
}

/** The line of the unit in docs/vip.md, with our program and file in place of the installed ones, as a shell runs it. */
async function execStopPost(host: Host): Promise<string> {
  const text = await readFile(path.join(import.meta.dirname, '../../docs/vip.md'), 'utf8')
  const line = /^ExecStopPost=(.*)$/m.exec(text)?.[1] ?? ''
  const command = line
    .replace('/usr/bin/pgherd', work.program.join(' '))
    .replace('/etc/pgherd/proxy.yml', host.path('proxy.yml'))
  assert.match(command, / vip clear .*proxy\.yml$/)
  const { uid, gid } = host.account
  return await network.inside(host, [...withCapabilities(uid, gid), '/bin/sh', '-c', command])
}

test('ExecStopPost of the unit file removes what a process and its guard that were killed together left behind', async () => {
  // The kernel would remove it too, but much later.
  const { host, server } = await holder('unit', { ttl: 60, stall: '50s' })
  await server.start()
  await until(host, VIP, true)
  await assert.rejects(execStopPost(host), /a running process keeps them: nothing was removed/)
  await host.kill()
  await until(host, VIP, true)
  assert.match(await execStopPost(host), /^removed 10\.77\.0\.210 from eth0/)
  await until(host, VIP, false)
  assert.equal(await execStopPost(host), '', 'nothing is left to do')
})

test('driver command: add, check and del move an address, also after its process or everything was killed', async () => {
  const { host, server } = await holder('cloud', {
    driver: 'command',
    addresses: [MOVED],
    add: [IP, 'address', 'add', `${MOVED}/32`, 'dev', 'eth0'],
    del: `${IP} address del ${MOVED}/32 dev eth0`,
    check: LATER,
  })
  await writeFile(
    host.path('check.sh'),
    `#!/bin/sh\n[ "$PGHERD_VIP_ADDRESSES" = ${MOVED} ] && ${IP} -o address show dev "$PGHERD_VIP_INTERFACE" | grep -qw ${MOVED}\n`,
  )
  await chmod(host.path('check.sh'), 0o755)
  const file = host.path('proxy.yml')
  await writeFile(file, (await readFile(file, 'utf8')).replace(LATER, host.path('check.sh')))
  await server.start()
  await until(host, MOVED, true)
  await network.inside(host, [IP, 'address', 'del', `${MOVED}/32`, 'dev', 'eth0'])
  await until(host, MOVED, true)
  assert.match(
    await readFile(server.logFile, 'utf8'),
    /vip cloud: check .* failed with exit code 1; adding again/,
  )
  await server.stop()
  await until(host, MOVED, false)
  await server.start()
  await until(host, MOVED, true)
  await server.kill()
  await until(host, MOVED, false)
  await server.start()
  await until(host, MOVED, true)
  await host.kill()
  await until(host, MOVED, true)
  assert.match(await execStopPost(host), /^ran .*ip address del 203\.0\.113\.9/)
  await until(host, MOVED, false)
})

test('driver none: the address is named and left alone', async () => {
  const { host, server } = await holder('named', { driver: 'none', addresses: [MOVED] })
  await server.start()
  const [vip] = await waitFor('the status', { withinMs: 45_000, everyMs: 50 }, async () => {
    const url = `http://${host.address}:${ADMIN_PORT}/status`
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined)
    if (answer === undefined) return undefined
    const { vips } = (await answer.json()) as { readonly vips: readonly Readonly<Record<string, unknown>>[] }
    return vips
  })
  assert.deepEqual(
    [vip?.['name'], vip?.['driver'], vip?.['says'], vip?.['addresses']],
    ['named', 'none', 'moved by something else', [`${MOVED}/32 eth0`]],
  )
  await network.inside(host, [IP, 'address', 'add', `${MOVED}/32`, 'dev', 'eth0'])
  await server.stop()
  await until(host, MOVED, true)
  assert.equal(await execStopPost(host), '')
  await until(host, MOVED, true)
  const keys = await etcd.ctl(['get', '--prefix', '--keys-only', '/service/pgsql/pgherd/vip/named'])
  assert.equal(keys.trim(), '')
})
