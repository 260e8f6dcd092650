// An old leader comes back with rows that nobody else has: they must go, and somebody must say how much went.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { startCluster } from '../support/fixture.ts'

const { cluster, network } = await startCluster({ after }, { network: true, etcd: 1, members: 3, proxies: 1 })

test('an old leader with 1,000 unreplicated rows is rewound: they are gone, and an event tells the bytes', async t => {
  const old = await cluster.leader()
  await old.query('CREATE TABLE kept (id int)')
  await old.query('INSERT INTO kept SELECT generate_series(1, 10)')
  await cluster.complete()
  const systemId = (await old.status())['database_system_identifier']
  const others = cluster.members.filter(member => member !== old)
  // Replication is cut in silence, so the rows reach nobody; the agents still see etcd.
  for (const other of others) await network.cut(old.host, other.host)
  await old.query('INSERT INTO kept SELECT generate_series(101, 1100)')
  await old.host.kill()
  const leader = await cluster.leader({ not: [old], withinMs: 60_000 })
  await leader.query('INSERT INTO kept VALUES (11)')
  await network.heal()
  await old.agent.start()
  await cluster.complete(60_000)
  const [row] = await waitFor('the new row to arrive', { withinMs: 20_000 }, async () => {
    const rows = await old.look<{ count: number; max: number }>('SELECT count(*)::int, max(id) FROM kept')
    return rows[0]?.count === 11 ? rows : undefined
  })
  assert.deepEqual(row, { count: 11, max: 11 }, 'the 1,000 rows are gone, the others are there')
  const status = await old.status()
  assert.equal(status.role, 'replica')
  assert.equal(status['database_system_identifier'], systemId)
  assert.equal(status.timeline, (await leader.status()).timeline)
  const events = (await readFile(`${old.dataDir}.events.jsonl`, 'utf8')).trim().split('\n')
  const rewind = events.map(line => JSON.parse(line)).find(event => event.kind === 'rewound')
  assert.ok(rewind, 'there is an event of the rewind')
  assert.ok(
    Number(rewind.facts.discarded_bytes) > 1_000 * 28,
    `${rewind.facts.discarded_bytes} bytes for 1,000 rows`,
  )
  assert.match(await readFile(old.agent.logFile, 'utf8'), /rewind: \d+ KB discarded on pg1/)
  t.diagnostic(rewind.says)
})
