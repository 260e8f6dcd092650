// Three members of etcd with TLS and client certificates, over both transports: certificates renewed one member after the
// other and for us, a member of the three gone; the lease is kept and the watch tells everything.

import assert from 'node:assert/strict'
import { copyFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { etcdOptions } from '../../src/commands/etcd-options.ts'
import { loadLocalConfig } from '../../src/config/agent/local.ts'
import { createEtcdDcs } from '../../src/dcs/etcd/etcd.ts'
import { asAccount, serverAccount } from '../../src/demo/account.ts'
import { Host } from '../../src/demo/host.ts'
import { freePort } from '../../src/demo/loopback.ts'
import type { Server } from '../../src/demo/server.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { runChild } from '../../src/platform/child.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { Authority } from './dcs-certs.ts'
import { by } from './dcs-rig.ts'
import { WatchReader } from './dcs-watch-reader.ts'

const work = await makeWorkplace({ after })
const account = await serverAccount()
const authority = await Authority.create(path.join(work.data, 'certs'), 'authority')
const admin = await authority.sign('root')
const LEASE_SECONDS = 5

interface TlsMember {
  readonly server: Server
  readonly endpoint: string
  readonly install: () => Promise<void>
}

/** Members on 127.0.65.11 and up; each reads its certificate anew at every handshake. */
async function startThree(): Promise<readonly TlsMember[]> {
  const places = await Promise.all(
    [1, 2, 3].map(async number => {
      const address = `127.0.65.${10 + number}`
      const directory = path.join(work.data, `tls${number}`)
      const host = new Host({ name: `e${number}`, address, directory, logs: work.logs, enter: [] }, account)
      await host.prepare()
      work.defer(() => host.remove())
      return {
        host,
        address,
        name: `e${number}`,
        port: await freePort(address, 2379),
        peer: await freePort(address, 2380),
      }
    }),
  )
  const cluster = places.map(({ name, address, peer }) => `${name}=http://${address}:${peer}`).join(',')
  return Promise.all(
    places.map(async ({ host, address, name, port, peer }) => {
      const [cert, key] = [path.join(work.data, `${name}.pem`), path.join(work.data, `${name}.key`)]
      const install = async () => {
        const signed = await authority.sign(name, [`IP:${address}`])
        await copyFile(signed.key, key)
        await copyFile(signed.cert, cert)
      }
      await install()
      const client = `https://${address}:${port}`
      const own = `http://${address}:${peer}`
      const command = [
        'etcd',
        `--name=${name}`,
        `--data-dir=${host.path('etcd')}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${own}`,
        `--initial-advertise-peer-urls=${own}`,
        `--initial-cluster=${cluster}`,
        `--cert-file=${cert}`,
        `--key-file=${key}`,
        `--trusted-ca-file=${authority.ca}`,
        '--client-cert-auth',
      ]
      const server = host.server({ name, command })
      await server.start()
      return { server, endpoint: `${address}:${port}`, install }
    }),
  )
}

const members = await startThree()
const flags = [`--cacert=${authority.ca}`, `--cert=${admin.cert}`, `--key=${admin.key}`]
await Promise.all(
  members.map(({ endpoint }) =>
    waitFor(`${endpoint} to be healthy`, { withinMs: 30_000 }, async () => {
      const words = [
        ...asAccount(account),
        'etcdctl',
        `--endpoints=${endpoint}`,
        ...flags,
        'endpoint',
        'health',
      ]
      const [program = '', ...args] = words
      return (await runChild(program, args, { by: by(5_000) })).code === 0
    }),
  ),
)

describe('three members with TLS', () => {
  for (const transport of ['grpc', 'http'] as const) {
    test(`${transport}: certificates of every member and ours are renewed, then a member is gone: lease and watch go on`, async t => {
      const [cert, key] = [path.join(work.data, `${transport}.pem`), path.join(work.data, `${transport}.key`)]
      const install = async () => {
        const signed = await authority.sign('agent')
        await copyFile(signed.key, key)
        await copyFile(signed.cert, cert)
      }
      await install()
      const tls = { protocol: 'https', cacert: authority.ca, cert, key }
      const etcd = { hosts: members.map(({ endpoint }) => endpoint), transport, ...tls }
      const file = path.join(work.data, `${transport}.yml`)
      const { load } = await configuration(file, etcd)
      const local = await load()
      const reread = async () => (await load()).etcd
      const dcs = createEtcdDcs({
        ...(await etcdOptions({ etcd: local.etcd, namespace: 'service', logger: silentLogger, reread })),
        scope: `tls-${transport}`,
      })
      t.after(() => dcs.close())
      const watch = new WatchReader(dcs, 2)
      await watch.begun()
      const lease = await dcs.grantLease(LEASE_SECONDS, by(10_000))
      let isOver = false
      const outcomes: string[] = []
      const renewing = (async () => {
        while (!isOver) {
          outcomes.push((await dcs.keepAlive(lease.id, by(4_000))).outcome)
          await sleep(500)
        }
      })()
      const written: bigint[] = []
      const write = async (value: string) => {
        const { outcome, revision } = await dcs.write([], [{ kind: 'put', key: 'status', value }], by(10_000))
        assert.equal(outcome, 'won', value)
        if (revision !== undefined) written.push(revision)
      }
      await write('before')
      for (const member of members) {
        await member.install()
        await write('a member renewed')
      }
      await install()
      // Looked at every 10 s; the streams move to new connections then.
      for (let second = 0; second < 14; second += 1) {
        await write(`ours renewed, ${second} s`)
        await sleep(1_000)
      }
      const [gone] = members
      assert.ok(gone !== undefined)
      await gone.server.kill()
      for (let count = 0; count < 5; count += 1) {
        await dcs.read(by(10_000))
        // The death may take the answer of one write with it; the next ones find the others.
        const { outcome, revision } = await dcs.write(
          [],
          [{ kind: 'put', key: 'status', value: `${count}` }],
          by(10_000),
        )
        if (outcome === 'won' && revision !== undefined) written.push(revision)
        await sleep(300)
      }
      await watch.until(
        () => watch.seen.some(event => event.revision === written.at(-1)),
        'the last write to be told',
      )
      isOver = true
      await renewing
      assert.ok(!outcomes.includes('lost'), outcomes.join())
      assert.ok((await dcs.leaseLeft(lease.id, by(10_000))).leftSeconds !== undefined, 'the lease is kept')
      t.diagnostic(`${written.length} writes, ${outcomes.length} renewals, ${watch.stale.length} times stale`)
      await watch.close()
      await gone.server.start()
    })
  }
})

/** A patroni.yml with this etcd section, as the agent reads it. */
async function configuration(file: string, etcd: object) {
  await writeFile(
    file,
    JSON.stringify({
      scope: 'tls',
      name: 'pg1',
      restapi: { listen: '127.0.0.1:8008' },
      postgresql: {
        listen: '127.0.0.1:5432',
        connect_address: '127.0.0.1:5432',
        data_dir: '/nonexistent',
        authentication: { replication: { username: 'repl' } },
      },
      etcd3: etcd,
    }),
  )
  return { load: () => loadLocalConfig(file, {}) }
}
