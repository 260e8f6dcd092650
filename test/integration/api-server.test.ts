// The REST server over real sockets: the exact bytes that probes see, access, and behaviour under bad callers.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import test, { after } from 'node:test'
import { ApiServer } from '../../src/api/server.ts'
import { leaderStatus, replicaStatus, threeMembers } from '../support/agent-status.ts'
import { rawExchange } from '../support/raw-http.ts'
import { startRestServer } from '../support/rest-server.ts'

const { agent, port, raw } = await startRestServer(after)
await agent.put(threeMembers)

const statusOnly: readonly (readonly [string, string])[] = [
  ['OPTIONS / HTTP/1.0\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['OPTIONS /primary HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['OPTIONS /replica HTTP/1.0\r\n\r\n', 'HTTP/1.0 503 Service Unavailable\r\n\r\n'],
  ['OPTIONS /liveness HTTP/1.0\r\n\r\n', 'HTTP/1.0 503 Service Unavailable\r\n\r\n'],
  ['HEAD /leader HTTP/1.1\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['HEAD /nonsense HTTP/1.1\r\n\r\n', 'HTTP/1.0 503 Service Unavailable\r\n\r\n'],
  ['GET /liveness HTTP/1.0\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['GET /readiness HTTP/1.0\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\n'],
]
for (const [request, answer] of statusOnly) {
  test(`${request.split('\r\n', 1)[0]} is a status line and an empty line`, async () => {
    assert.equal(await raw(request), answer)
  })
}

test('a check answers with the status document and ends with the connection', async () => {
  const answer = await raw('GET /primary?x=y#z HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n')
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  const [status, ...headers] = head.split('\r\n')
  assert.equal(status, 'HTTP/1.0 200 OK')
  assert.deepEqual(
    headers.map(header => header.replace(/^Date: .* GMT$/, 'Date')),
    ['Server: pgherd/0.1.0', 'Date', 'Content-Type: application/json'],
  )
  assert.match(body, /^\{"state": "running", .*"role": "primary", .*"lease_left_ms": 25000\}\}$/)
})

const documents: readonly (readonly [string, number, RegExp])[] = [
  ['/', 200, /"role": "primary"/],
  ['/replica', 503, /"role": "primary"/],
  ['/patroni', 200, /"patroni": \{"version": "4.1.4", "scope": "main", "name": "pg1"\}/],
  ['/patroni/anything', 200, /"patroni"/],
  ['http://pg1:8008/primary', 200, /"role": "primary"/],
  ['/cluster', 200, /^\{"members": \[\{"name": "pg1", "role": "leader"/],
  ['/config', 200, /^\{"ttl": 30, "loop_wait": 10, "retry_timeout": 10\}$/],
  ['/config/x', 200, /^\{"ttl": 30/],
  ['/history', 200, /^\[\]$/],
  ['/failsafe', 502, /<p>Error code: 502<\/p>/],
  ['/metrics', 200, /patroni_primary\{scope="main",name="pg1"\} 1\n/],
  ['/%2e%2e/etc/passwd', 503, /"state"/],
]
for (const [path, code, body] of documents) {
  test(`GET ${path} is ${code}`, async () => {
    const answer = await raw(`GET ${path} HTTP/1.0\r\n\r\n`)
    assert.ok(answer.startsWith(`HTTP/1.0 ${code} `), answer)
    assert.match(answer.slice(answer.indexOf('\r\n\r\n') + 4), body)
  })
}

const refused: readonly (readonly [string, number, string])[] = [
  ['DELETE /nonsense HTTP/1.0\r\n\r\n', 501, 'text/html;charset=utf-8'],
  ['PUT /config HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}', 400, 'text/html;charset=utf-8'],
  ['POST /nonsense HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}', 501, 'text/html;charset=utf-8'],
  ['POST /switchover HTTP/1.0\r\n\r\n', 411, 'text/html;charset=utf-8'],
  [
    'POST /switchover HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
    411,
    'text/html;charset=utf-8',
  ],
  ['POST /switchover HTTP/1.0\r\nContent-Length: 0\r\n\r\n', 400, 'text/html;charset=utf-8'],
  ['POST /switchover HTTP/1.0\r\nContent-Length: 5\r\n\r\n{"a":', 400, 'text/html;charset=utf-8'],
  ['POST /switchover HTTP/1.0\r\nContent-Length: 2\r\n\r\n[]', 400, 'text/html;charset=utf-8'],
  ['POST /switchover HTTP/1.0\r\nContent-Length: 999999\r\n\r\n', 413, 'text/html;charset=utf-8'],
  ['POST /failover HTTP/1.0\r\nContent-Length: 8\r\n\r\n{"a": 1}', 400, 'text/html'],
  ['NONSENSE\r\n\r\n', 400, 'text/html;charset=utf-8'],
  ['BREW / HTTP/1.0\r\n\r\n', 501, 'text/html;charset=utf-8'],
  ['get / HTTP/1.0\r\n\r\n', 501, 'text/html;charset=utf-8'],
  [`GET /${'x'.repeat(20_000)} HTTP/1.0\r\n\r\n`, 400, 'text/html;charset=utf-8'],
]
for (const [request, code, type] of refused) {
  test(`${JSON.stringify(request.slice(0, 60))} is ${code}`, async () => {
    const answer = await raw(request)
    assert.ok(answer.startsWith(`HTTP/1.0 ${code} `), answer)
    assert.ok(answer.includes(`\r\nContent-Type: ${type}\r\n`), answer)
  })
}

test('requests behind the first one on a connection are not answered', async () => {
  const answer = await raw('OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\nOPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal(answer, 'HTTP/1.0 200 OK\r\n\r\n')
})

test('the answer follows the state: the same server is a replica a moment later', async t => {
  const before = agent.current
  t.after(() => {
    agent.current = before
  })
  agent.current = replicaStatus()
  assert.match(await raw('OPTIONS /replica HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 200 /)
  assert.match(await raw('OPTIONS /primary HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 503 /)
})

test('without etcd, checks answer at once and documents come from the last view', async t => {
  t.after(() => agent.dcs.setFaults({}))
  agent.dcs.setFaults({ unreachable: true })
  assert.match(await raw('OPTIONS / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 200 /)
  assert.match(await raw('GET /cluster HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 200 [\s\S]*"scope": "main"/)
  const before = agent.current
  agent.current = leaderStatus({ view: undefined })
  t.after(() => {
    agent.current = before
  })
  assert.match(await raw('GET /cluster HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 503 [\s\S]*etcd does not answer/)
})

function post(path: string, body: unknown, headers = ''): string {
  const text = JSON.stringify(body)
  return `POST ${path} HTTP/1.0\r\nContent-Length: ${text.length}\r\n${headers}\r\n${text}`
}

test('a switchover is carried out and answered with a sentence', async () => {
  const candidate = await startRestServer(after)
  const member = { api_url: `http://127.0.0.1:${candidate.port}/patroni`, role: 'replica', state: 'running' }
  await agent.put({ 'members/pg2': JSON.stringify(member) })
  agent.onWake = () => agent.put({ leader: 'pg2', failover: '{}' })
  const answer = await raw(post('/switchover', { leader: 'pg1', candidate: 'pg2' }))
  assert.match(
    answer,
    /^HTTP\/1\.0 200 OK\r\n[\s\S]*Content-Type: text\/html\r\n\r\nSuccessfully switched over to "pg2"$/,
  )
})

test('only who knows the password may change something, and reading stays free', async () => {
  const guarded = await startRestServer(after, { authentication: { username: 'op', password: 'geheim: ü' } })
  const authorization = (text: string) => `Authorization: Basic ${Buffer.from(text).toString('base64')}\r\n`
  const code = async (headers: string) =>
    /^HTTP\/1\.0 (\d+)/.exec(await guarded.raw(post('/switchover', { leader: 'x' }, headers)))?.[1]
  assert.equal(await code(''), '401')
  assert.equal(await code(authorization('op:wrong')), '401')
  assert.equal(await code(authorization('op')), '401')
  assert.equal(await code('Authorization: Bearer x\r\n'), '401')
  assert.equal(await code(authorization('op:geheim: ü')), '412')
  const refusal = await guarded.raw(post('/failover', { candidate: 'x' }))
  assert.match(refusal, /\r\nWWW-Authenticate: Basic realm="[^"]+"\r\n\r\nno auth header received$/)
  assert.match(await guarded.raw('GET /config HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 502 /)
})

async function idle(count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let n = 0; n < count; n += 100) {
    const batch = Array.from({ length: 100 }, () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      return new Promise<Socket>(resolve => socket.on('connect', () => resolve(socket)))
    })
    sockets.push(...(await Promise.all(batch)))
  }
  return sockets
}

test('2000 idle connections do not keep a health check out', async t => {
  const sockets = await idle(2_000)
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  for (let n = 0; n < 20; n++)
    assert.equal(await raw('OPTIONS / HTTP/1.0\r\n\r\n'), 'HTTP/1.0 200 OK\r\n\r\n')
  await new Promise(resolve => setTimeout(resolve, 100))
  const open = sockets.filter(
    socket => !socket.destroyed && !socket.readableEnded && socket.readyState === 'open',
  )
  assert.ok(open.length <= 500, `${open.length} are still open`)
})

test('a caller that never finishes its request is cut within its time', async () => {
  const began = performance.now()
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost:'))
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
  const tookMs = performance.now() - began
  assert.match(answer, /^(HTTP\/1\.0 4\d\d |$)/)
  assert.ok(tookMs > 5_000 && tookMs < 20_000, `after ${tookMs} ms`)
})

test('a port in use ends with one line that says what to change', async () => {
  const second = startRestServer(() => {}, { listen: { host: '127.0.0.1', port } })
  await assert.rejects(second, {
    name: 'UserError',
    message: `restapi.listen: cannot listen on 127.0.0.1:${port}: another program uses this port: stop it, or change restapi.listen`,
  })
})

test('an address that this machine does not have is told likewise', async () => {
  await assert.rejects(
    startRestServer(() => {}, { listen: { host: '203.0.113.1', port: 8008 } }),
    {
      name: 'UserError',
      message: /^restapi\.listen: cannot listen on 203\.0\.113\.1:8008: this machine has no such address/,
    },
  )
})

test('a closed server leaves no connection behind', async () => {
  const short = await startRestServer(() => {})
  const socket = connect(short.port, '127.0.0.1')
  await new Promise(resolve => socket.on('connect', resolve))
  socket.on('error', () => {})
  const closed = new Promise(resolve => socket.on('close', resolve))
  await short.close()
  await closed
  await assert.rejects(rawExchange('127.0.0.1', short.port, 'OPTIONS / HTTP/1.0\r\n\r\n'), {
    code: 'ECONNREFUSED',
  })
  assert.ok(short.server instanceof ApiServer)
})
