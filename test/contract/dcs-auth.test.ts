// Users of etcd: certificates as identity, passwords, tokens that end, and all of that changing while a client runs. Each
// over gRPC and, where the gateway can do it, over HTTP.

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { copyFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import { Registry } from 'prom-client'
import type { EtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import type { EtcdOptions } from '../../src/dcs/etcd/options.ts'
import { FileSecrets } from '../../src/dcs/etcd/secrets.ts'
import type { Transport } from '../../src/dcs/etcd/target.ts'
import { createDcsMetrics } from '../../src/dcs/metrics.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { HaError } from '../../src/platform/errors.ts'
import { type Logger, silentLogger } from '../../src/platform/log.ts'
import { changePassword, switchAuthOn } from '../support/etcd-users.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { Authority, contents, type Pair } from './dcs-certs.ts'
import { Relay } from './dcs-relay.ts'
import { by, connect as open } from './dcs-rig.ts'
import { SingleEtcd } from './dcs-single.ts'
import { WatchReader } from './dcs-watch-reader.ts'

const work = await makeWorkplace({ after })
const transports: readonly Transport[] = ['grpc', 'http']
const put = (key: string, value: string) => ({ kind: 'put', key, value }) as const
/** What we ourselves find wrong can be told by name; what the server finds wrong it may tell by hanging up. */
const WHY_REFUSED: Readonly<Record<string, RegExp>> = {
  'a wrong name': /altnames|ALTNAME/,
  'another authority': /unable to verify|UNABLE_TO_VERIFY|self-signed/,
}
const root = { username: 'root', password: 'secret' }

/** A client that is closed with its test, and the kinds of events that it told. */
function connect(t: TestContext, endpoint: string, more: Partial<EtcdOptions> = {}) {
  const told: string[] = []
  const dcs = open([endpoint], { onEvent: ({ kind }) => void told.push(kind), ...more })
  t.after(() => dcs.close())
  return { dcs, told }
}

function isRefusal(error: unknown): boolean {
  return error instanceof HaError && error.code === 'E_DCS_AUTH'
}

async function assertWorks(dcs: EtcdDcs): Promise<void> {
  const watch = new WatchReader(dcs, 1)
  await watch.begun()
  const { outcome, revision } = await dcs.write([], [put('leader', 'pg1')], by(5_000))
  assert.equal(outcome, 'won')
  await watch.until(() => watch.seen.some(event => event.revision === revision), 'the write to be told')
  const lease = await dcs.grantLease(10, by(5_000))
  assert.equal((await dcs.keepAlive(lease.id, by(5_000))).outcome, 'won')
  assert.equal((await dcs.read(by(5_000))).leader?.name, 'pg1')
  await watch.close()
}

/** An etcd whose root has a password and which asks for it. */
async function guardedEtcd(net: number, more: readonly string[] = []): Promise<SingleEtcd> {
  // A cheap hash: what is tested is not etcd's, and four files share two cores.
  const etcd = await SingleEtcd.start(work, net, ['--bcrypt-cost=4', ...more])
  await switchAuthOn((...words) => etcd.ctl(...words), 'secret')
  return etcd
}

/** A client of root's, and how many tokens it was given so far. */
function counted(t: TestContext, endpoint: string, transport: Transport) {
  const registry = new Registry()
  const { dcs } = connect(t, endpoint, { auth: root, transport, metrics: createDcsMetrics(registry) })
  const tokens = async () => {
    const asked = await registry.getSingleMetric('pgherd_dcs_authentications_total')?.get()
    return asked?.values.find(({ labels }) => labels['result'] === 'ok')?.value ?? 0
  }
  return { dcs, tokens }
}

/** What etcd signs tokens with, as its flag has it. */
async function signingKey(): Promise<string> {
  const [secret, open] = [path.join(work.data, 'jwt.key'), path.join(work.data, 'jwt.pub')]
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await writeFile(secret, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  await writeFile(open, publicKey.export({ type: 'spki', format: 'pem' }))
  return `jwt,pub-key=${open},priv-key=${secret},sign-method=RS256,ttl=10m`
}

const signing = await signingKey()

describe('users of etcd', { concurrency: 4 }, () => {
  for (const [index, transport] of transports.entries()) {
    test(`${transport}: a token that ended is replaced without anybody noticing`, async t => {
      const etcd = await guardedEtcd(50 + index, ['--auth-token-ttl=1'])
      const { dcs, tokens } = counted(t, etcd.endpoint, transport)
      await assertWorks(dcs)
      for (let round = 0; round < 2; round += 1) {
        const before = await tokens()
        await new Promise(resolve => setTimeout(resolve, 2_500))
        assert.equal(
          (await dcs.write([], [put('config', '{}')], by(5_000))).outcome,
          'won',
          'a write is sent again',
        )
        await dcs.read(by(5_000))
        assert.ok((await tokens()) > before, 'the old token was refused, and another one asked for')
      }
      await assertWorks(dcs)
    })

    // Only a signed token carries the revision of users and roles that it was made at; etcd's simple ones follow it.
    test(`${transport}: a signed token that is older than a change of the roles is replaced without anybody noticing`, async t => {
      const etcd = await guardedEtcd(64 + index, [`--auth-token=${signing}`])
      const { dcs, tokens } = counted(t, etcd.endpoint, transport)
      await assertWorks(dcs)
      const watch = new WatchReader(dcs, 1)
      await watch.begun()
      for (const name of ['ann', 'bob', 'cid']) {
        const before = await tokens()
        await etcd.ctl('--user=root:secret', 'role', 'add', name)
        const { outcome, revision } = await dcs.write([], [put('config', name)], by(5_000))
        assert.equal(outcome, 'won', 'a write is sent again')
        assert.ok((await tokens()) > before, 'the old token was refused, and another one asked for')
        await watch.until(() => watch.seen.at(-1)?.revision === revision, 'the watch to go on')
      }
      await watch.close()
    })

    test(`${transport}: users and roles that change, and authentication switched on and off, disturb nobody`, async t => {
      const etcd = await SingleEtcd.start(work, 52 + index, ['--bcrypt-cost=4'])
      const { dcs, told } = connect(t, etcd.endpoint, { auth: root, transport })
      await assertWorks(dcs)
      const watch = new WatchReader(dcs, 1)
      await watch.begun()
      await switchAuthOn((...words) => etcd.ctl(...words), 'secret')
      await assertWorks(dcs)
      for (const name of ['ann', 'bob']) {
        await etcd.ctl('--user=root:secret', 'role', 'add', name)
        assert.equal((await dcs.write([], [put('config', '{}')], by(5_000))).outcome, 'won')
      }
      await etcd.ctl('--user=root:secret', 'auth', 'disable')
      await assertWorks(dcs)
      await etcd.ctl('auth', 'enable')
      await assertWorks(dcs)
      assert.deepEqual(
        told.filter(kind => kind === 'dcs-auth-auth'),
        [],
      )
      const { revision } = await dcs.write([], [put('leader', 'pg9')], by(5_000))
      await watch.until(
        () => watch.seen.at(-1)?.revision === revision,
        'the watch to go on through all of it',
      )
      await watch.close()
    })

    test(`${transport}: a password changed at run time is reported, retried, and followed when the file has it`, async t => {
      const etcd = await guardedEtcd(54 + index)
      let inFile = 'secret'
      const read = async () => ({ tls: undefined, auth: { username: 'root', password: inFile } })
      const secrets = new FileSecrets({ clock: realClock, logger: silentLogger, first: await read(), read })
      const { dcs, told } = connect(t, etcd.endpoint, { secrets, transport })
      await assertWorks(dcs)
      const lease = await dcs.grantLease(30, by(5_000))
      await changePassword(etcd.endpoint, 'secret', 'changed')
      await assert.rejects(dcs.read(by(3_000)), isRefusal)
      assert.equal((await dcs.write([], [put('leader', 'x')], by(3_000))).outcome, 'unreachable')
      const held = await dcs.keepAlive(lease.id, by(3_000))
      assert.equal(held.outcome, 'won', 'etcd asks nobody who he is for a renewal')
      assert.ok(told.includes('dcs-auth-auth'), 'the refusal is told')
      inFile = 'changed'
      const startedMs = performance.now()
      await waitFor('the new password to be used', { withinMs: 15_000, everyMs: 100 }, async () => {
        await dcs.read(by(1_000))
        return true
      })
      t.diagnostic(
        `the new password was used ` +
          `${Math.round(performance.now() - startedMs)} ms after the file had it`,
      )
      await assertWorks(dcs)
    })

    test(`${transport}: TLS: the authority, the host's name and the client's certificate are checked`, async t => {
      const { authority, etcd, admin } = await secureEtcd(56 + index)
      const stranger = await Authority.create(path.join(work.data, `stranger${index}`), 'stranger')
      const tls = await contents(authority.ca, admin)
      const relay = await Relay.to(etcd.address, etcd.port)
      t.after(() => relay.close())
      const port = relay.endpoint.split(':')[1]
      const endpoint = `https://${etcd.endpoint}`
      await assertWorks(connect(t, endpoint, { tls, transport }).dcs)
      // The certificate has the name localhost and the member's address, not the relay's.
      await assertWorks(connect(t, `https://localhost:${port}`, { tls, transport }).dcs)
      const refused = {
        'a wrong name': connect(t, `https://127.0.0.1:${port}`, { tls, transport }).dcs,
        'another authority': connect(t, endpoint, {
          tls: { ...tls, ca: (await contents(stranger.ca)).ca },
          transport,
        }).dcs,
        'no certificate of the client': connect(t, endpoint, { tls: await contents(authority.ca), transport })
          .dcs,
        'a certificate of a stranger': connect(t, endpoint, {
          tls: { ...(await contents(stranger.ca, await stranger.sign('root'))), ca: tls.ca },
          transport,
        }).dcs,
        'no encryption': connect(t, `http://${etcd.endpoint}`, { transport }).dcs,
      }
      for (const [what, dcs] of Object.entries(refused)) {
        await assert.rejects(dcs.read(by(WHY_REFUSED[what] === undefined ? 700 : 5_000)), error => {
          const why = WHY_REFUSED[what]
          if (why !== undefined) assert.match(String(error), why)
          else t.diagnostic(`${what}: ${error}`)
          return error instanceof HaError && /E_DCS_(UNREACHABLE|TIMEOUT)/.test(error.code)
        })
      }
    })
  }

  test('the common name of a certificate is the user, without a password', async t => {
    const { authority, etcd, admin } = await secureEtcd(58)
    await etcd.ctl('user', 'add', 'root', '--no-password')
    await etcd.ctl('user', 'grant-role', 'root', 'root')
    await etcd.ctl('user', 'add', 'guest', '--no-password')
    await etcd.ctl('auth', 'enable')
    const endpoint = `https://${etcd.endpoint}`
    await assertWorks(connect(t, endpoint, { tls: await contents(authority.ca, admin) }).dcs)
    const guest = await contents(authority.ca, await authority.sign('guest'))
    const { dcs } = connect(t, endpoint, { tls: guest })
    await assert.rejects(dcs.read(by(5_000)), isRefusal)
    assert.equal((await dcs.write([], [put('leader', 'x')], by(5_000))).outcome, 'unreachable')
  })

  test('a renewed certificate is used without a restart; a pair that does not fit is left alone', async t => {
    const { authority, etcd, admin } = await secureEtcd(59)
    const guest = await authority.sign('guest')
    for (const [name, role] of [
      ['root', 'root'],
      ['guest', undefined],
    ] as const) {
      await etcd.ctl('user', 'add', name, '--no-password')
      if (role !== undefined) await etcd.ctl('user', 'grant-role', name, role)
    }
    await etcd.ctl('auth', 'enable')
    const files = { cert: path.join(work.data, 'renewed.pem'), key: path.join(work.data, 'renewed.key') }
    const install = async (from: Pair) => {
      await copyFile(from.key, files.key)
      await copyFile(from.cert, files.cert)
    }
    await install(admin)
    const warnings: string[] = []
    const logger: Logger = { ...silentLogger, warning: says => void warnings.push(says) }
    const read = async () => ({ tls: await contents(authority.ca, files), auth: undefined })
    const secrets = new FileSecrets({ clock: realClock, logger, first: await read(), read, lookEveryMs: 100 })
    const { dcs } = connect(t, `https://${etcd.endpoint}`, { secrets })
    await assertWorks(dcs)
    const watch = new WatchReader(dcs, 1)
    await watch.begun()
    // Half of a renewal: what is in force stays in force.
    await copyFile(guest.cert, files.cert)
    await waitFor('the pair to be refused', { withinMs: 30_000 }, async () => warnings.length > 0)
    assert.match(warnings[0] ?? '', /stays in force/)
    await assertWorks(dcs)
    // The other half: from now on we are another user, who may do nothing. That shows which certificate is in use.
    await install(guest)
    await waitFor('the guest to be refused', { withinMs: 30_000, everyMs: 50 }, async () =>
      dcs.read(by(2_000)).then(() => false, isRefusal),
    )
    await install(await authority.sign('root'))
    await waitFor('the renewed certificate to work', { withinMs: 30_000, everyMs: 50 }, async () =>
      dcs.read(by(2_000)).then(() => true),
    )
    const { revision } = await dcs.write([], [put('leader', 'pg7')], by(5_000))
    await watch.until(() => watch.seen.at(-1)?.revision === revision, 'the watch to go on')
    await watch.close()
  })
})

async function secureEtcd(net: number) {
  const authority = await Authority.create(path.join(work.data, `certs${net}`), 'authority')
  const server = await authority.sign('etcd', [`IP:127.0.${net}.11`, 'DNS:localhost'])
  const admin = await authority.sign('root')
  const etcd = await SingleEtcd.start(work, net, [], { ca: authority.ca, server, admin })
  return { authority, etcd, admin }
}
