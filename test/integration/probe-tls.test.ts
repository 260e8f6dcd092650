// The proxy's questions to a REST server with TLS: what is trusted, what is shown, and what is said when it fails.

import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { waitFor } from '../../src/demo/wait.ts'
import type { ProbeResult } from '../../src/health/document.ts'
import { PemFiles } from '../../src/health/pem-files.ts'
import { HttpProbe, type ProbeTls } from '../../src/health/probe.ts'
import { printRequest, RawCheck } from '../../src/health/raw-check.ts'
import { realClock } from '../../src/platform/clock.ts'
import { silentLogger } from '../../src/platform/log.ts'
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

async function portOf(files: typeof server, cafile = certificates.ca): Promise<number> {
  const { cert, key } = files
  const tls = { certfile: cert, keyfile: key, keyfilePassword: undefined, cafile }
  const started = await startRestServer(after, {
    tls: { ...tls, ciphers: undefined, verifyClient: 'required' },
  })
  return started.port
}
const port = await portOf(server)
const portElsewhere = await portOf(elsewhere)

async function probed(tls: Partial<ProbeTls>, at = port): Promise<ProbeResult> {
  const given = { ...nothing, ...tls }
  const probe = new HttpProbe(realClock, `https://127.0.0.1:${at}`, () => given)
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
    tls: () => ({ serverName: undefined, verifiedName: tls.serverName, ...nothing, ...tls }),
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

test('renewed certificates, keys and authorities are used without a restart; a pair that does not fit is left alone', async t => {
  const files = {
    caFile: path.join(folder, 'renewed-ca.pem'),
    certFile: path.join(folder, 'renewed.pem'),
    keyFile: path.join(folder, 'renewed.key'),
  }
  const theirs = await strangers.issue('client')
  const portOfStrangers = await portOf(await strangers.issue('server'), strangers.ca)
  await copyFile(certificates.ca, files.caFile)
  await copyFile(client.cert, files.certFile)
  await copyFile(client.key, files.keyFile)
  const complaints: string[] = []
  const log = { ...silentLogger, warning: (text: string) => void complaints.push(text) }
  const pem = await PemFiles.open('p.yml', [files, files], { clock: realClock, log, lookEveryMs: 20 })
  pem.watch()
  t.after(() => pem.stop())
  let tls = { verify: true, ...pem.contentsOf(files) }
  const now = () => {
    const contents = pem.contentsOf(files)
    if (contents.cert !== tls.cert) tls = { verify: true, ...contents }
    return tls
  }
  const probes = [port, portOfStrangers].map(at => new HttpProbe(realClock, `https://127.0.0.1:${at}`, now))
  t.after(() => Promise.all(probes.map(probe => probe.close())))
  const answers = async () => [
    ...(await Promise.all(probes.map(probe => probe.ask(TIMEOUT_MS)))).map(isGood),
    ...(await Promise.all([port, portOfStrangers].map(at => checked(now(), at)))).map(isGood),
  ]
  assert.deepEqual(await answers(), [true, false, true, false])

  await copyFile(theirs.key, files.keyFile)
  await waitFor('the pair to be told as unfit', { withinMs: 5_000, everyMs: 10 }, () => complaints.length > 0)
  assert.match(complaints[0] ?? '', /renewed\.key cannot be used: .*; what was read before stays in use/)
  assert.deepEqual(await answers(), [true, false, true, false])

  await copyFile(strangers.ca, files.caFile)
  await copyFile(theirs.cert, files.certFile)
  await waitFor('the renewed ones to be in use', { withinMs: 5_000, everyMs: 10 }, async () =>
    isDeepStrictEqual(await answers(), [false, true, false, true]),
  )
  await rm(files.certFile)
  await waitFor('the missing file to be told', { withinMs: 5_000, everyMs: 10 }, () =>
    complaints.some(text => text.includes(`cannot read ${files.certFile}`)),
  )
  assert.deepEqual(await answers(), [false, true, false, true])
})

test('files that cannot be used end the start with one line', async () => {
  const options = { clock: realClock, log: silentLogger }
  const set = { caFile: certificates.ca, certFile: client.cert, keyFile: server.key }
  await assert.rejects(PemFiles.open('p.yml', [set], options), {
    name: 'UserError',
    message: /^p\.yml: \S+ca\.pem, \S+client\.pem, \S+server\.key cannot be used: /,
  })
  await assert.rejects(PemFiles.open('p.yml', [{ ...set, keyFile: '/nonexistent' }], options), {
    message: /^p\.yml: cannot read \/nonexistent: .*no such file or directory/,
  })
})
