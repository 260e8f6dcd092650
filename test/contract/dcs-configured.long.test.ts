// From the etcd section of a patroni.yml to a real etcd, on the way that agent, proxy and ctl take: each way to name the
// members, each way to be somebody, and certificates that are renewed in their files.

import assert from 'node:assert/strict'
import dns from 'node:dns/promises'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { etcdOptions } from '../../src/commands/etcd-options.ts'
import { loadLocalConfig } from '../../src/config/agent/local.ts'
import { createEtcdDcs, type EtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { HaError } from '../../src/platform/errors.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { switchAuthOn } from '../support/etcd-users.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { Authority } from './dcs-certs.ts'
import { Relay } from './dcs-relay.ts'
import { by } from './dcs-rig.ts'
import { SingleEtcd } from './dcs-single.ts'
import { DnsServer } from './dns-server.ts'

const work = await makeWorkplace({ after })
/** The files are looked at every 10 s. */
const NOTICED_WITHIN_MS = 25_000
const NOBODY = '127.0.0.1:1'

const plain = await SingleEtcd.start(work, 61, ['--bcrypt-cost=4'])
await switchAuthOn((...words) => plain.ctl(...words), 'secret')

const authority = await Authority.create(path.join(work.data, 'certs'), 'authority')
const server = await authority.sign('etcd', ['IP:127.0.62.11', 'DNS:localhost'])
const admin = await authority.sign('root')
const secure = await SingleEtcd.start(work, 62, [], { ca: authority.ca, server, admin })
for (const name of ['root', 'guest']) await secure.ctl('user', 'add', name, '--no-password')
await secure.ctl('user', 'grant-role', 'root', 'root')
await secure.ctl('auth', 'enable')
const both = path.join(work.data, 'both.pem')
await writeFile(both, `${await readFile(admin.cert, 'utf8')}${await readFile(admin.key, 'utf8')}`)

// A host's name leads to 127.0.0.1, where only relays listen.
const toPlain = await Relay.to(plain.address, plain.port)
const toSecure = await Relay.to(secure.address, secure.port)
const portOf = ({ endpoint }: Relay) => Number(endpoint.split(':')[1])
const names = await DnsServer.start({
  '_etcd-client._tcp.plain.test': [{ target: 'localhost', port: portOf(toPlain) }],
  '_etcd-client-ssl-main._tcp.secure.test': [{ target: 'localhost', port: portOf(toSecure) }],
})
dns.setServers([names.address])
syncBuiltinESMExports()
work.defer(() => Promise.all([toPlain.close(), toSecure.close(), names.close()]))

const user = 'username: root, password: secret'
const pair = `cert: ${admin.cert}, key: ${admin.key}`

let made = 0
async function configure(store: string): Promise<string> {
  made += 1
  const file = path.join(work.data, `patroni${made}.yml`)
  const rest = `scope: configured${made}
name: pg1
restapi: {listen: 127.0.0.1:8008}
postgresql: {listen: 127.0.0.1:5432, connect_address: 127.0.0.1:5432, data_dir: /nonexistent, authentication: {replication: {username: repl}}}
`
  await writeFile(file, `${rest}${store}\n`)
  return file
}

/** As the agent opens its store. */
async function openAs(t: TestContext, file: string): Promise<EtcdDcs> {
  const local = await loadLocalConfig(file, {})
  const { etcd, namespace, scope } = local
  const reread = async () => (await loadLocalConfig(file, {})).etcd
  const dcs = createEtcdDcs({
    ...(await etcdOptions({ etcd, namespace, logger: silentLogger, reread })),
    scope,
  })
  t.after(() => dcs.close())
  return dcs
}

async function assertWorks(dcs: EtcdDcs): Promise<void> {
  const written = await dcs.write([], [{ kind: 'put', key: 'leader', value: 'pg1' }], by(5_000))
  assert.equal(written.outcome, 'won')
  assert.equal((await dcs.read(by(5_000))).leader?.name, 'pg1')
}

const works: Readonly<Record<string, string>> = {
  host: `etcd3: {host: "${plain.endpoint}", ${user}}`,
  'hosts as a list, one of them dead': `etcd3: {hosts: ["${NOBODY}", "${plain.endpoint}"], ${user}}`,
  'hosts as a text': `etcd3: {hosts: "${NOBODY}, ${plain.endpoint}", ${user}}`,
  'url with the user in it': `etcd3: {url: "http://root:secret@${plain.endpoint}"}`,
  srv: `etcd3: {srv: plain.test, ${user}}`,
  'the old section with the old name': `etcd: {host: "${plain.endpoint}", ${user}}`,
  'protocol, cacert, cert and key': `etcd3: {host: "${secure.endpoint}", protocol: https, cacert: ${authority.ca}, ${pair}}`,
  'https url, key and certificate in one file': `etcd3: {url: "https://${secure.endpoint}", cacert: ${authority.ca}, cert: ${both}}`,
  'srv with a suffix and TLS': `etcd3: {srv: secure.test, srv_suffix: main, cacert: ${authority.ca}, ${pair}}`,
  'HTTP gateway': `etcd3: {host: "${plain.endpoint}", transport: http, ${user}}`,
}

describe('etcd as the file says', { concurrency: 4 }, () => {
  for (const [what, store] of Object.entries(works)) {
    test(`${what}: reads and writes`, async t => assertWorks(await openAs(t, await configure(store))))
  }

  test('without the authority nothing of etcd is believed, and without a user nothing is allowed', async t => {
    const stranger = `etcd3: {host: "${secure.endpoint}", protocol: https, ${pair}}`
    await assert.rejects(
      (await openAs(t, await configure(stranger))).read(by(1_000)),
      isError('E_DCS_UNREACHABLE'),
    )
    const nobody = `etcd3: {host: "${plain.endpoint}"}`
    await assert.rejects((await openAs(t, await configure(nobody))).read(by(5_000)), isError('E_DCS_AUTH'))
  })

  test('certificate, key and authority renewed in their files are used without a restart', async t => {
    const own = await Authority.create(path.join(work.data, 'own'), 'own')
    const shown = await own.sign('etcd', ['IP:127.0.63.11'])
    const etcd = await SingleEtcd.start(work, 63, [], {
      ca: own.ca,
      server: shown,
      admin: await own.sign('root'),
    })
    for (const name of ['root', 'guest']) await etcd.ctl('user', 'add', name, '--no-password')
    await etcd.ctl('user', 'grant-role', 'root', 'root')
    await etcd.ctl('auth', 'enable')
    const files = ['ca', 'cert', 'key'].map(name => path.join(work.data, `renewed.${name}`))
    const [ca = '', cert = '', key = ''] = files
    const install = async (name: string) => {
      const signed = await own.sign(name)
      await copyFile(signed.key, key)
      await copyFile(signed.cert, cert)
    }
    await copyFile(own.ca, ca)
    await install('root')
    const store = `etcd3: {host: "${etcd.endpoint}", protocol: https, cacert: ${ca}, cert: ${cert}, key: ${key}}`
    const dcs = await openAs(t, await configure(store))
    await assertWorks(dcs)
    // Another name shows that the new files are in use: this user may do nothing.
    await install('guest')
    const patience = { withinMs: NOTICED_WITHIN_MS, everyMs: 200 }
    const startedMs = performance.now()
    await waitFor('the other user to be refused', patience, () =>
      dcs.read(by(2_000)).then(() => false, isError('E_DCS_AUTH')),
    )
    await install('root')
    await waitFor('the renewed certificate to work', patience, () => dcs.read(by(2_000)).then(() => true))
    t.diagnostic(`a certificate replaced twice was used ${seconds(startedMs)} after the first`)
    // Another authority signs for etcd from now on; the file that we trust gets it later.
    const next = await Authority.create(path.join(work.data, 'next'), 'next')
    const renewed = await next.sign('etcd', ['IP:127.0.63.11'])
    await copyFile(renewed.key, shown.key)
    await copyFile(renewed.cert, shown.cert)
    await etcd.server.kill()
    await etcd.server.start()
    await assert.rejects(dcs.read(by(2_000)), isError('E_DCS_UNREACHABLE'))
    await writeFile(ca, `${await readFile(own.ca, 'utf8')}${await readFile(next.ca, 'utf8')}`)
    const trustedMs = performance.now()
    await waitFor('the new authority to be trusted', patience, () => dcs.read(by(2_000)).then(() => true))
    t.diagnostic(`a new authority was trusted ${seconds(trustedMs)} after its file had it`)
    await assertWorks(dcs)
  })
})

function isError(code: HaError['code']): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof HaError)
    return error.code === code || (code === 'E_DCS_UNREACHABLE' && error.code === 'E_DCS_TIMEOUT')
  }
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`
}
