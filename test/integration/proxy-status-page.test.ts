// The status page of a haproxy.cfg: where it is, and who may read it.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { Registry } from 'prom-client'
import { parseHaproxy } from '../../src/config/haproxy/load.ts'
import { freePort } from '../../src/demo/loopback.ts'
import { PemFiles } from '../../src/health/pem-files.ts'
import { realClock } from '../../src/platform/clock.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { ProxyServer } from '../../src/proxy/proxy.ts'
import { netTransport } from '../../src/proxy/relay/net.ts'

const HOST = '127.0.0.1'
const ports = {
  sessions: await freePort(HOST, 5800),
  own: await freePort(HOST, 7800),
  seed: 0,
  bare: 0,
  both: 0,
}
ports.seed = await freePort(HOST, ports.own + 1)
ports.bare = await freePort(HOST, ports.seed + 1)
ports.both = await freePort(HOST, ports.bare + 1)

const text = `defaults
  mode http
listen w
  mode tcp
  bind ${HOST}:${ports.sessions}
  server pg1 ${HOST}:1 check
listen own
  bind ${HOST}:${ports.own}
  bind *:${ports.both}
  bind :::${ports.both}
  stats uri /herd?stats
  stats auth ops:secret
listen seed
  bind ${HOST}:${ports.seed}
  stats enable
  stats uri /
listen bare
  bind ${HOST}:${ports.bare}
  stats enable
`
const clock = realClock
const proxy = new ProxyServer({
  config: parseHaproxy(text, 'h.cfg', { lenient: false }).config,
  clock,
  log: silentLogger,
  registry: new Registry(),
  dcs: undefined,
  version: 'test',
  pid: process.pid,
  descriptorsMax: undefined,
  transport: netTransport,
  pem: await PemFiles.open('h.cfg', [], { clock, log: silentLogger }),
})
await proxy.start()
after(() => proxy.stop('the test is over'))

/** `404`, or `200 page` when it is the page. */
async function read(port: number, path: string, user = ''): Promise<string> {
  const authorization = `Basic ${Buffer.from(user).toString('base64')}`
  const response = await fetch(`http://${HOST}:${port}${path}`, { headers: { authorization } })
  const isPage = /^<!doctype html>/i.test(await response.text())
  return `${response.status}${isPage ? ' page' : ''}`
}

// address, what it answers where `stats uri` is /herd?stats, where it is /, and where nothing says it
const addresses: readonly (readonly [string, string, string, string])[] = [
  ['/', '200 page', '200 page', '200 page'],
  ['/herd?stats', '200 page', '200 page', '404'],
  ['/herd?stats;norefresh', '200 page', '200 page', '404'],
  ['/herd', '404', '200 page', '404'],
  ['/haproxy?stats', '404', '200 page', '200 page'],
  ['/haproxy?stats;csv', '404', '404', '404'],
  ['/healthz', '200', '200', '200'],
]
for (const [address, own, seed, bare] of addresses) {
  test(`the status page by its prefix: ${address}`, async () => {
    const answers = [
      await read(ports.own, address, 'ops:secret'),
      await read(ports.seed, address),
      await read(ports.bare, address),
    ]
    assert.deepEqual(answers, [own, seed, bare])
  })
}

test('a port of all addresses of IPv4 and of IPv6, by two lines of a section, is one for both', async () => {
  for (const host of [HOST, '[::1]']) {
    const response = await fetch(`http://${host}:${ports.both}/`)
    assert.equal(response.status, 401)
  }
})

test('the prefix of a status page is no way around its password', async () => {
  assert.equal(await read(ports.own, '/herd?stats'), '401')
})
