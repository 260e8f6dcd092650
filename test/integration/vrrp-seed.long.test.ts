// The seed's two keepalived.conf byte for byte, run by our proxy beside the seed's haproxy.cfg: the address of the proxies, and the
// read address whose piped checks never worked on keepalived 2.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chown, copyFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import type { Host } from '../../src/demo/host.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from '../support/netns.ts'
import { withCapabilities } from '../support/vip-stage.ts'
import { makeWorkplace } from '../support/workplace.ts'

const SEED = path.resolve(import.meta.dirname, '../fixtures/seed')
const work = await makeWorkplace({ after })
const network = await Network.create(work, {
  subnet: '192.168.234',
  addresses: { one: 205, two: 206, pg: 201 },
  interfaceName: 'ens33',
})

/** A proxy with the seed's files, as its service starts it. */
async function proxyOn(host: Host, keepalived: string): Promise<Server> {
  const { uid, gid } = host.account
  const files: string[] = []
  for (const name of ['haproxy.cfg', keepalived]) {
    const file = host.path(name)
    await copyFile(path.join(SEED, name), file)
    await chown(file, uid, gid)
    files.push('-f', file)
  }
  const command = [...withCapabilities(uid, gid), ...work.program, 'proxy', ...files]
  return host.server({ name: 'proxy', command, privileged: true })
}

interface VipDocument {
  readonly name: string
  readonly driver: string
  readonly state: string
  readonly priority: number
  readonly addresses: readonly string[]
}

async function vipOf(host: Host): Promise<VipDocument | undefined> {
  const answer = await fetch(`http://${host.address}:7000/status`, { signal: AbortSignal.timeout(2_000) })
  const { vips } = (await answer.json()) as { readonly vips: readonly VipDocument[] }
  return vips[0]
}

async function becomes(host: Host, state: string, priority: number): Promise<void> {
  await waitFor(`${host.name} to be ${state} at ${priority}`, { withinMs: 60_000 }, async note => {
    const vip = await vipOf(host)
    note(JSON.stringify(vip))
    return vip?.state === state && vip.priority === priority
  })
}

test('two proxies with the seed’s files share its address, and the other one has it when the first is killed', async t => {
  const [one, two] = [await network.host('one'), await network.host('two')]
  const [first, second] = [
    await proxyOn(one, 'keepalived-haproxy.conf'),
    await proxyOn(two, 'keepalived-haproxy.conf'),
  ]
  await first.start()
  await becomes(one, 'owner', 110)
  await second.start()
  await becomes(two, 'standby', 110)
  assert.deepEqual((await vipOf(one))?.addresses, ['192.168.234.210/32 ens33'])
  const beganMs = performance.now()
  await first.kill()
  await becomes(two, 'owner', 110)
  t.diagnostic(`killed: the other one owns the address after ${Math.round(performance.now() - beganMs)} ms`)
  const text = await network.inside(one, ['ip', '-br', 'address', 'show', 'dev', 'ens33'])
  assert.ok(!text.includes('192.168.234.210'), text)
  await second.stop()
})

test('the seed’s read address: its piped checks are asked, and their weights count', async () => {
  const host = await network.host('pg')
  const rest = spawn(
    host.enter[0] ?? '',
    [...host.enter.slice(1), process.execPath, '--input-type=module', '-e', REST],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  )
  work.defer(() => rest.kill('SIGKILL'))
  const server = await proxyOn(host, 'keepalived-read-vip.conf')
  await server.start()
  await becomes(host, 'owner', 115)
  rest.stdin.write('leader\n')
  await becomes(host, 'owner', 110)
  rest.stdin.write('neither\n')
  await becomes(host, 'owner', 100)
  await server.stop()
})

/** Answers as Patroni's REST does for a replica, and as it is told on its input from then on. */
const REST = `
import { createServer } from 'node:http'
let role = 'replica'
process.stdin.on('data', data => { role = String(data).trim() })
createServer((request, answer) => {
  const isGood = request.url === '/read-only' ? role !== 'neither' : request.url === '/' + role
  answer.writeHead(isGood ? 200 : 503).end('{}')
}).listen(8008, '127.0.0.1')
`
