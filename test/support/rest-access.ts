// Who may do what over REST: one table for each configuration of the server, run against our agent and against the real Patroni.

import assert from 'node:assert/strict'
import { chown, readFile } from 'node:fs/promises'
import { connect as connectPlain, type Socket } from 'node:net'
import path from 'node:path'
import test from 'node:test'
import { connect as connectTls } from 'node:tls'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import type { Fixture } from './fixture.ts'

const ACCOUNT = { username: 'op', password: 'geheim: ü' }
const ANSWER_MS = 10_000

/** How a caller comes. */
interface Caller {
  /** `user:password`. */
  readonly as?: string
  readonly tls?: true
  readonly certificate?: true
  /** From the member's own address, as other members come. */
  readonly isMember?: true
}

interface Row extends Caller {
  readonly call: string
  /** 0: the handshake fails. */
  readonly code: number
  /** In the answer, its headers included. */
  readonly says?: RegExp
  readonly lacks?: RegExp
}

interface State {
  readonly name: string
  /** Below `restapi`; files stand for the names of `files`. */
  readonly restapi: Readonly<Record<string, unknown>>
  readonly rows: readonly Row[]
}

const right = `${ACCOUNT.username}:${ACCOUNT.password}`
const TLS = { certfile: 'CERT', keyfile: 'KEY', cafile: 'CA' }
const REALM = /\r\nWWW-Authenticate: Basic realm="Patroni"\r\n/

/** The first row of each differs from the answer under the configuration before it. */
const states: readonly State[] = [
  {
    name: 'an account',
    restapi: { authentication: ACCOUNT },
    rows: [
      { call: 'POST /reload', code: 401, says: REALM },
      { call: 'GET /patroni', code: 200 },
      { call: 'GET /config', code: 200 },
      { call: 'OPTIONS /', code: 200 },
      { call: 'POST /reload', code: 401, says: /no auth header received$/ },
      { call: 'POST /reload', as: 'op:wrong', code: 401, says: /not authenticated$/ },
      { call: 'POST /reload', as: 'other', code: 401 },
      { call: 'POST /reload', as: right, code: 202 },
      { call: 'PATCH /config', code: 401 },
      { call: 'PUT /config', code: 401 },
      { call: 'DELETE /switchover', code: 401 },
      { call: 'POST /restart', code: 401 },
      { call: 'POST /reinitialize', code: 401 },
      { call: 'POST /failsafe', code: 401 },
      { call: 'POST /citus', code: 401 },
      { call: 'POST /sigterm', code: 401 },
      { call: 'DELETE /restart', as: right, code: 404 },
    ],
  },
  {
    name: 'an allow list that the caller is not in, and an account',
    restapi: { allowlist: ['203.0.113.0/24', '203.0.114.7'], authentication: ACCOUNT },
    rows: [
      { call: 'POST /reload', code: 403, says: /Access is denied$/ },
      { call: 'GET /config', code: 200 },
      { call: 'OPTIONS /', code: 200 },
      { call: 'POST /reload', as: right, code: 403 },
    ],
  },
  {
    name: 'an allow list that the caller is in, and an account',
    restapi: { allowlist: ['127.0.0.0/8'], authentication: ACCOUNT },
    rows: [
      { call: 'POST /reload', code: 401 },
      { call: 'POST /reload', as: right, code: 202 },
    ],
  },
  {
    name: 'members as the allow list',
    restapi: { allowlist_include_members: true },
    rows: [
      { call: 'POST /reload', code: 403 },
      { call: 'POST /reload', isMember: true, code: 202 },
    ],
  },
  {
    name: 'headers of its own',
    restapi: { http_extra_headers: { 'X-Own': 'a b' }, https_extra_headers: { 'X-Tls': 'c' } },
    rows: [
      { call: 'POST /reload', code: 202, says: /\r\nX-Own: a b\r\n/ },
      { call: 'GET /patroni', code: 200, says: /\r\nX-Own: a b\r\n/, lacks: /X-Tls/ },
      { call: 'OPTIONS /', code: 200, lacks: /X-Own/ },
      { call: 'GET /liveness', code: 200, lacks: /X-Own/ },
    ],
  },
  {
    name: 'TLS that may ask for a certificate, an account and headers of its own',
    restapi: {
      ...TLS,
      verify_client: 'optional',
      authentication: ACCOUNT,
      https_extra_headers: { 'X-Tls': 'c' },
    },
    rows: [
      { call: 'GET /patroni', tls: true, code: 200, says: /\r\nX-Tls: c\r\n/ },
      { call: 'OPTIONS /', tls: true, code: 200 },
      { call: 'POST /reload', tls: true, code: 403, says: /client certificate required$/ },
      { call: 'POST /reload', tls: true, as: right, code: 403 },
      { call: 'POST /reload', tls: true, certificate: true, code: 401 },
      { call: 'POST /reload', tls: true, certificate: true, as: right, code: 202 },
    ],
  },
  {
    name: 'TLS that asks everybody for a certificate',
    restapi: { ...TLS, verify_client: 'required' },
    rows: [
      { call: 'GET /patroni', tls: true, code: 0 },
      { call: 'OPTIONS /', tls: true, code: 0 },
      { call: 'OPTIONS /', tls: true, certificate: true, code: 200 },
      { call: 'POST /reload', tls: true, certificate: true, code: 202 },
    ],
  },
]

/** Declares one test for each configuration; the cluster has one member. */
export function testRestAccess({ cluster, work }: Fixture, keeper: 'pgherd' | 'patroni'): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  let made: Promise<Files> | undefined
  for (const { name, restapi, rows } of states) {
    test(`${called}: ${rows.length} calls with ${name}`, async () => {
      const [member] = cluster.members
      assert.ok(member)
      made ??= filesFor(member, await makeCertificates(path.join(work.data, 'certificates')))
      const files = await made
      const given = Object.fromEntries(
        Object.entries(restapi).map(([key, value]) => [key, files[String(value)] ?? value]),
      )
      await member.configure({ restapi: given })
      process.kill(member.agent.pid, 'SIGHUP')
      const [first] = rows
      assert.ok(first)
      // The others must hold at once.
      await waitFor(`${first.call} to be ${first.code}`, { withinMs: 20_000 }, async note => {
        const answer = await ask(member, first, files)
        note(answer)
        return codeOf(answer) === first.code
      })
      for (const row of rows) {
        const answer = await ask(member, row, files)
        assert.equal(codeOf(answer), row.code, `${JSON.stringify(row)}: ${answer}`)
        if (row.says !== undefined) assert.match(answer, row.says)
        if (row.lacks !== undefined) assert.doesNotMatch(answer, row.lacks)
      }
    })
  }
}

type Files = Readonly<Record<string, string>>

async function filesFor(member: Member, certificates: Certificates): Promise<Files> {
  const server = await certificates.issue('server', member.host.address)
  const client = await certificates.issue('client')
  const { uid, gid } = member.host.account
  for (const file of [server.cert, server.key, certificates.ca]) await chown(file, uid, gid)
  return {
    CERT: server.cert,
    KEY: server.key,
    CA: certificates.ca,
    CLIENT_CERT: client.cert,
    CLIENT_KEY: client.key,
  }
}

function codeOf(bytes: string): number {
  return bytes === '' ? 0 : Number(bytes.split(' ', 2)[1])
}

/** Everything that comes back; empty when the connection ended without a byte. */
async function ask(member: Member, row: Row, files: Files): Promise<string> {
  const socket = await dial(member, row, files)
  const authorization =
    row.as === undefined ? '' : `Authorization: Basic ${Buffer.from(row.as).toString('base64')}\r\n`
  const length = /^(GET|OPTIONS|DELETE) /.test(row.call) ? '' : 'Content-Length: 0\r\n'
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    socket.setTimeout(ANSWER_MS, () => socket.destroy())
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')))
    socket.write(`${row.call} HTTP/1.0\r\n${authorization}${length}\r\n`)
  })
}

async function dial(member: Member, row: Caller, files: Files): Promise<Socket> {
  const { address } = member.host
  const from = row.isMember === true ? address : '127.0.0.1'
  const socket = connectPlain({ host: address, port: member.config.restPort, localAddress: from })
  socket.on('error', () => {})
  if (row.tls !== true) return socket
  const read = (name: string) => readFile(files[name] ?? '')
  const identity =
    row.certificate === true ? { cert: await read('CLIENT_CERT'), key: await read('CLIENT_KEY') } : {}
  return connectTls({ socket, host: address, ca: await read('CA'), ...identity })
}
