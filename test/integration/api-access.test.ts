// Who may call what: allow lists, client certificates, accounts; TLS and its reload; the record of every change.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import type { RestConfig } from '../../src/config/agent/types.ts'
import { PeerClient } from '../../src/health/peer.ts'
import { readRestCredentials } from '../../src/health/rest-client.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { threeMembers } from '../support/agent-status.ts'
import { makeCertificates } from '../support/certificates.ts'
import { restConfig } from '../support/rest-config.ts'
import { startRestServer } from '../support/rest-server.ts'

const folder = await mkdtemp(path.join(tmpdir(), 'pgherd-access-'))
after(() => rm(folder, { recursive: true, force: true }))
const certificates = await makeCertificates(folder)
const server = await certificates.issue('server')
const client = await certificates.issue('client')

const op = { username: 'op', password: 'secret' }
const viewer = { username: 'viewer', password: 'look' }
const basic = ({ username, password }: typeof op) =>
  `Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}\r\n`

function change(call: string, headers = '', body = '{"a":1}'): string {
  return `${call} HTTP/1.0\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`
}

function codeOf(answer: string): number {
  return Number(answer.split(' ', 2)[1])
}

async function serverWith(rest: Partial<RestConfig>) {
  const started = await startRestServer(after, rest)
  await started.agent.put(threeMembers)
  return started
}

const unsafe = [
  'POST /switchover',
  'POST /failover',
  'DELETE /switchover',
  'PATCH /config',
  'PUT /config',
  'POST /restart',
  'DELETE /restart',
  'POST /reload',
  'POST /reinitialize',
  'POST /citus',
  'POST /sigterm',
]

test('an address that is not in the allow list changes nothing and reads everything', async () => {
  const { raw, agent } = await serverWith({ allowlist: ['192.0.2.0/24', '2001:db8::/32'] })
  for (const call of unsafe) {
    const answer = await raw(change(call))
    assert.equal(codeOf(answer), 403, call)
    assert.match(answer, /\r\n\r\nAccess is denied$/)
  }
  assert.deepEqual(agent.orders, [])
  for (const target of ['/', '/patroni', '/cluster', '/config', '/history', '/metrics']) {
    assert.equal(codeOf(await raw(`GET ${target} HTTP/1.0\r\n\r\n`)), 200, target)
  }
})

for (const allowlist of [['127.0.0.0/8'], ['127.0.0.1'], ['192.0.2.1', 'localhost'], ['::/0', '0.0.0.0/0']]) {
  test(`the allow list ${allowlist.join(', ')} lets loopback in`, async () => {
    const { raw } = await serverWith({ allowlist })
    assert.equal(codeOf(await raw(change('POST /reload'))), 202)
  })
}

test('the allow list may be the members themselves', async () => {
  const { raw, agent } = await serverWith({ allowlistIncludesMembers: true })
  const view = agent.current.view
  assert.ok(view)
  assert.equal(codeOf(await raw(change('POST /reload'))), 403)
  const near = { ...view.members.get('pg2'), apiUrl: 'http://127.0.0.1:8008/patroni' } as never
  agent.current = { ...agent.current, view: { ...view, members: new Map([['pg2', near]]) } }
  assert.equal(codeOf(await raw(change('POST /reload'))), 202)
})

test('a name in the allow list that cannot be resolved lets nobody in', async () => {
  const { raw } = await serverWith({ allowlist: ['no-such-host.invalid'] })
  assert.equal(codeOf(await raw(change('POST /reload'))), 403)
})

test('every change needs the account, and /mpp alone has no guard', async () => {
  const { raw } = await serverWith({ authentication: op })
  for (const call of unsafe) {
    const bare = await raw(change(call))
    assert.equal(codeOf(bare), 401, call)
    assert.match(bare, /\r\nWWW-Authenticate: Basic realm="Patroni"\r\n[\s\S]*no auth header received$/)
    const wrong = await raw(change(call, basic({ ...op, password: 'Secret' })))
    assert.match(wrong, /^HTTP\/1\.0 401 [\s\S]*not authenticated$/)
  }
  assert.equal(codeOf(await raw(change('POST /reload', basic(op)))), 202)
  assert.equal(codeOf(await raw(change('POST /mpp'))), 200)
})

test('the read-only account reads and changes nothing; load balancers and members need none', async () => {
  const { raw, agent } = await serverWith({ authentication: op, readOnly: viewer })
  const get = (target: string, headers = '') => raw(`GET ${target} HTTP/1.0\r\n${headers}\r\n`).then(codeOf)
  for (const target of ['/config', '/history', '/metrics', '/pgherd/events']) {
    assert.deepEqual(
      [await get(target), await get(target, basic(viewer)), await get(target, basic(op))],
      [401, 200, 200],
      target,
    )
  }
  for (const target of ['/', '/primary', '/patroni', '/cluster', '/liveness', '/readiness', '/health'])
    assert.equal(await get(target), 200, target)
  for (const call of unsafe) {
    const answer = await raw(change(call, basic(viewer)))
    assert.match(answer, /^HTTP\/1\.0 403 [\s\S]*this account may only read$/, call)
  }
  assert.deepEqual(agent.orders, [])
})

test('every change is recorded with call, address, user and outcome, the refused ones too', async () => {
  const { raw, agent } = await serverWith({ authentication: op })
  await raw(change('POST /reload', basic(op)))
  await raw(change('POST /restart', basic(op), '{"nonsense": 1}'))
  await raw(change('PATCH /config', '', '{"ttl": 20}'))
  await raw(change('PATCH /config', basic(op), '{"ttl": 40}'))
  const address = '127.0.0.1'
  assert.deepEqual(agent.audited, [
    { call: 'POST /reload', address, user: 'op', code: 202, says: 'reload scheduled' },
    {
      call: 'POST /restart',
      address,
      user: 'op',
      code: 400,
      says: 'Unknown filter for the scheduled restart: nonsense',
    },
    { call: 'PATCH /config', address, user: undefined, code: 401, says: 'no auth header received' },
    { call: 'PATCH /config', address, user: 'op', code: 200, says: '' },
  ])
})

test('extra headers stand in every full answer and in no bare one', async () => {
  const { raw } = await serverWith({
    extraHeaders: { 'X-Frame-Options': 'SAMEORIGIN' },
    serverTokens: 'productonly',
  })
  const full = await raw('GET /patroni HTTP/1.0\r\n\r\n')
  assert.match(full, /\r\nServer: pgherd\r\n[\s\S]*\r\nX-Frame-Options: SAMEORIGIN\r\n/)
  assert.equal(await raw('OPTIONS / HTTP/1.0\r\n\r\n'), 'HTTP/1.0 200 OK\r\n\r\n')
})

interface Shown {
  readonly code: number
  readonly body: string
  /** The certificate that the server showed. */
  readonly serial: string
}

async function overTls(
  port: number,
  method: string,
  target: string,
  own?: { readonly cert: string; readonly key: string },
): Promise<Shown> {
  const ca = await readFile(certificates.ca)
  const files = own === undefined ? {} : { cert: await readFile(own.cert), key: await readFile(own.key) }
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      method,
      path: target,
      ca,
      ...files,
      agent: false,
      timeout: 5_000,
    }
    const call = httpsRequest(options, answer => {
      const serial = (
        answer.socket as unknown as { getPeerCertificate(): { serialNumber: string } }
      ).getPeerCertificate().serialNumber
      const chunks: Buffer[] = []
      answer.on('data', chunk => chunks.push(chunk))
      answer.on('end', () =>
        resolve({ code: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString(), serial }),
      )
    })
    call.on('timeout', () => call.destroy(new Error('no answer within 5 s')))
    call.on('error', reject)
    call.end()
  })
}

function tlsWith(verifyClient: 'none' | 'optional' | 'required'): Partial<RestConfig> {
  return {
    tls: {
      certfile: server.cert,
      keyfile: server.key,
      keyfilePassword: undefined,
      cafile: certificates.ca,
      ciphers: undefined,
      verifyClient,
    },
  }
}

test('with TLS, optional: checks need no certificate, changes do, and an account besides', async () => {
  const { port } = await serverWith({ ...tlsWith('optional'), authentication: op })
  assert.equal((await overTls(port, 'GET', '/primary')).code, 200)
  const bare = await overTls(port, 'POST', '/reload')
  assert.deepEqual([bare.code, bare.body], [403, 'client certificate required'])
  const known = await overTls(port, 'POST', '/reload', client)
  assert.deepEqual([known.code, known.body], [401, 'no auth header received'])
})

test('with TLS, required: without a certificate there is no answer at all', async () => {
  const { port } = await serverWith(tlsWith('required'))
  await assert.rejects(overTls(port, 'GET', '/primary'))
  assert.equal((await overTls(port, 'GET', '/primary', client)).code, 200)
  assert.equal((await overTls(port, 'POST', '/reload', client)).code, 202)
})

test('a certificate of another authority counts as none', async () => {
  const others = await makeCertificates(path.join(folder, 'others'))
  const stranger = await others.issue('stranger')
  const optional = await serverWith(tlsWith('optional'))
  assert.equal((await overTls(optional.port, 'POST', '/reload', stranger)).code, 403)
  const required = await serverWith(tlsWith('required'))
  await assert.rejects(overTls(required.port, 'GET', '/primary', stranger))
})

test('clear text to a TLS port gets no answer and harms nobody', async () => {
  const { port, raw } = await serverWith(tlsWith('none'))
  const answer = await raw('OPTIONS / HTTP/1.0\r\n\r\n').catch(() => '')
  assert.doesNotMatch(answer, /200/)
  assert.equal((await overTls(port, 'GET', '/primary')).code, 200)
})

test('a reload takes a new certificate, new rules and no certificate at all, and never loses the port', async () => {
  const started = await serverWith(tlsWith('none'))
  const { port, server: api, raw } = started
  const before = await overTls(port, 'GET', '/primary')
  const renewed = await certificates.issue('renewed')
  const tls = { ...tlsWith('none').tls, certfile: renewed.cert, keyfile: renewed.key } as RestConfig['tls']
  await api.reload(restConfig({ tls, authentication: op }))
  const after_ = await overTls(port, 'GET', '/primary')
  assert.notEqual(after_.serial, before.serial)
  assert.equal((await overTls(port, 'POST', '/reload')).code, 401)
  const broken = { ...tls, keyfile: client.key } as RestConfig['tls']
  await assert.rejects(api.reload(restConfig({ tls: broken })), {
    name: 'UserError',
    message: /restapi\.certfile/,
  })
  assert.equal((await overTls(port, 'GET', '/primary')).serial, after_.serial)
  await api.reload(restConfig({}))
  assert.equal(await raw('OPTIONS / HTTP/1.0\r\n\r\n'), 'HTTP/1.0 200 OK\r\n\r\n')
})

test('a server whose certificate cannot be read says which setting names it', async () => {
  const tls = { ...tlsWith('none').tls, certfile: '/nonexistent.pem' } as RestConfig['tls']
  await assert.rejects(serverWith({ tls }), {
    name: 'UserError',
    message: /^restapi\.certfile: cannot read \/nonexistent\.pem/,
  })
})

test('members ask each other over TLS with certificate and account of their own configuration', async t => {
  const { port } = await serverWith({ ...tlsWith('required'), authentication: op })
  const call = async (settings: Partial<Parameters<typeof readRestCredentials>[0]>) => {
    const peers = new PeerClient(
      await readRestCredentials({
        authentication: op,
        insecure: false,
        cacert: certificates.ca,
        certfile: client.cert,
        keyfile: client.key,
        keyfilePassword: undefined,
        ...settings,
      }),
    )
    t.after(() => peers.close())
    const answer = await peers.ask('pg1', `https://127.0.0.1:${port}/patroni`, Deadline.in(realClock, 2_000))
    return answer.isReachable
  }
  assert.equal(await call({}), true)
  assert.equal(await call({ certfile: undefined, keyfile: undefined }), false)
  assert.equal(await call({ cacert: undefined }), false)
  assert.equal(await call({ cacert: undefined, insecure: true }), true)
})
