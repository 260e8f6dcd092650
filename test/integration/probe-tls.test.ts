// The proxy's questions to a REST server with TLS: what is trusted, what is shown, and what is said when it fails.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import type { ProbeResult } from '../../src/health/document.ts'
import { HttpProbe, type ProbeTls } from '../../src/health/probe.ts'
import { printRequest, RawCheck } from '../../src/health/raw-check.ts'
import { realClock } from '../../src/platform/clock.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startRestServer } from '../support/rest-server.ts'

const TIMEOUT_MS = 5_000

const folder = await mkdtemp(path.join(tmpdir(), 'pgherd-probe-'))
after(() => rm(folder, { recursive: true, force: true }))
const certificates = await makeCertificates(path.join(folder, 'ours'))
const strangers = await makeCertificates(path.join(folder, 'strangers'))
const server = await certificates.issue('server')
const elsewhere = await certificates.issue('elsewhere', '192.0.2.1')
const client = await certificates.issue('client')
const authority = { ca: await readFile(certificates.ca) }
const shown = { cert: await readFile(client.cert), key: await readFile(client.key) }
const nothing: ProbeTls = { verify: true, ca: undefined, cert: undefined, key: undefined }

async function portOf(files: typeof server): Promise<number> {
  const { cert, key } = files
  const tls = { certfile: cert, keyfile: key, keyfilePassword: undefined, cafile: certificates.ca }
  const started = await startRestServer(after, {
    tls: { ...tls, ciphers: undefined, verifyClient: 'required' },
  })
  return started.port
}
const port = await portOf(server)
const portElsewhere = await portOf(elsewhere)

async function probed(tls: Partial<ProbeTls>, at = port): Promise<ProbeResult> {
  const probe = new HttpProbe(realClock, `https://127.0.0.1:${at}`, { ...nothing, ...tls })
  try {
    return await probe.ask(TIMEOUT_MS)
  } finally {
    await probe.close()
  }
}

async function checked(tls: Partial<ProbeTls> & { serverName?: string }, at = port): Promise<ProbeResult> {
  const question = { method: 'OPTIONS', path: '/primary', version: 'HTTP/1.0', headers: [] } as const
  const check = new RawCheck({
    clock: realClock,
    host: '127.0.0.1',
    port: at,
    request: printRequest(question),
    preface: undefined,
    connectTimeoutMs: TIMEOUT_MS,
    tls: { serverName: undefined, verifiedName: tls.serverName, ...nothing, ...tls },
  })
  return check.ask(TIMEOUT_MS)
}

const isGood = (result: ProbeResult) => result.kind === 'answer' && result.answer.statusCode === 200
const whyNot = (result: ProbeResult) => (result.kind === 'silent' ? result.why : 'answered')

test('with authority and certificate a member answers', async () => {
  assert.ok(isGood(await probed({ ...authority, ...shown })))
  assert.ok(isGood(await checked({ ...authority, ...shown })))
})

test('without verifying theirs, our certificate is enough', async () => {
  assert.ok(isGood(await probed({ verify: false, ...shown })))
  assert.ok(isGood(await checked({ verify: false, ...shown })))
})

test('without a certificate of ours nobody answers, and the proxy says which setting that is', async () => {
  assert.match(whyNot(await probed(authority)), /it may ask for a certificate: checks\.cert and checks\.key/)
  assert.equal((await checked(authority)).kind, 'silent')
})

test('an authority that did not sign theirs is no authority, and the proxy says which setting that is', async () => {
  const ca = await readFile(strangers.ca)
  assert.match(whyNot(await probed({ ca, ...shown })), /checks\.cacert names who signed it/)
  assert.match(whyNot(await checked({ ca, ...shown })), /certificate/)
})

test('the name in a certificate: our own checks want it, those of a haproxy.cfg only with check-sni, as HAProxy', async () => {
  assert.match(whyNot(await probed({ ...authority, ...shown }, portElsewhere)), /IP: 127\.0\.0\.1 is not in/)
  assert.ok(isGood(await checked({ ...authority, ...shown }, portElsewhere)))
  assert.ok(isGood(await checked({ ...authority, ...shown, serverName: 'localhost' }, portElsewhere)))
  assert.match(
    whyNot(await checked({ ...authority, ...shown, serverName: 'another.example' }, portElsewhere)),
    /another\.example/,
  )
})
