// What applications see of a switchover and of a crash through four drivers: through both ports of both proxies, and with
// several hosts in their connection string straight at the servers; in clear text and in TLS. docs/drivers.md tells it.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { tlsParameters } from '../support/certificate.ts'
import { cancels, clientsOf, missingRows, switchOver, through, type Way } from '../support/driver-scene.ts'
import type { Driver } from '../support/drivers.ts'
import { startCluster } from '../support/fixture.ts'
import { makeWorkplace } from '../support/workplace.ts'

const place = await makeWorkplace({ after })
const { cluster } = await startCluster(
  { after },
  {
    etcd: 1,
    members: 3,
    proxies: 2,
    // What a driver was told must then be there after a crash, too.
    dcs: { synchronous_mode: true },
    parameters: await tlsParameters(place.data),
  },
)

const LIBPQ_WAYS: readonly Way[] = ['write port', 'read port', 'read-write', 'read-only', 'any']
const WAYS: Readonly<Record<Driver, readonly Way[]>> = {
  psql: LIBPQ_WAYS,
  psycopg2: LIBPQ_WAYS,
  // What it calls `any` is the default of one host after the other.
  pgjdbc: ['write port', 'read port', 'read-write', 'read-only'],
  // It takes one host.
  pg: ['write port', 'read port'],
}

for (const driver of Object.keys(WAYS) as Driver[]) {
  const clients = clientsOf(cluster, driver, WAYS[driver], ['disable', 'require'])

  test(`${driver} through a switchover: no answered row is missing, no write is refused as read-only`, async t => {
    const run = await through(t, cluster, clients, () => switchOver(cluster))
    await cluster.complete()
    assert.deepEqual(await missingRows(cluster, run), [])
  })

  test(`${driver} through a crash of the leader’s host: no answered row is missing, no write is refused as read-only`, async t => {
    const old = await cluster.leader()
    const run = await through(t, cluster, clients, () => old.host.kill())
    await old.agent.start()
    await cluster.complete()
    assert.deepEqual(await missingRows(cluster, run), [])
  })

  test(`a statement is cancelled by ${driver} on each of its ways, in clear text and in TLS`, async t => {
    await cancels(t, clients)
  })
}
