// The harness's own etcd: real members, and faults that do what their names say.

import assert from 'node:assert/strict'
import path from 'node:path'
import test, { after } from 'node:test'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { makeWorkplace } from '../support/workplace.ts'

const work = await makeWorkplace({ after })
const etcd = await EtcdCluster.create(new LoopbackLayout(work.data, work.logs), 3)
work.defer(() => etcd.remove())
await etcd.start()

const get = async (key: string) => (await etcd.ctl(['get', '--print-value-only', key])).trim()

test('three members elect a leader and keep what is written', async () => {
  await etcd.ctl(['put', 'colour', 'green'])
  assert.equal(await get('colour'), 'green')
  assert.ok(etcd.members.includes(await etcd.leader()))
})

test('the raft leader killed: another one takes over, and the old one comes back', async () => {
  const old = await etcd.leader()
  await old.server.kill()
  const others = etcd.members.filter(member => member !== old)
  await waitFor('a new leader', { withinMs: 30_000 }, async () => (await etcd.leader()) !== old)
  await etcd.ctl(['put', 'colour', 'red'], others)
  await etcd.startMember(old)
  await etcd.ready()
  assert.equal((await etcd.ctl(['get', '--print-value-only', 'colour'], [old])).trim(), 'red')
})

test('a frozen member answers nothing until it is thawed', async () => {
  const [member] = etcd.members
  assert.ok(member)
  await member.server.freeze()
  await assert.rejects(member.isHealthy())
  member.server.thaw()
  await etcd.ready([member])
})

test('a member that lost its data fetches it from the others', async () => {
  const member = etcd.member('etcd3')
  await etcd.ctl(['put', 'colour', 'blue'])
  await etcd.wipe(member)
  await etcd.rejoin(member)
  await etcd.ready()
  assert.equal((await etcd.ctl(['get', '--print-value-only', 'colour'], [member])).trim(), 'blue')
})

test('restored from a snapshot, the store is back at the older revision under another cluster id', async () => {
  const file = path.join(work.data, 'snapshot.db')
  await etcd.ctl(['put', 'colour', 'before'])
  await etcd.snapshot(file)
  await etcd.ctl(['put', 'colour', 'after'])
  const old = await header()
  await etcd.restore(file)
  const restored = await header()
  assert.equal(await get('colour'), 'before')
  assert.ok(restored.revision < old.revision, `revision ${restored.revision} after ${old.revision}`)
  assert.notEqual(restored.clusterId, old.clusterId)
})

async function header(): Promise<{ clusterId: string; revision: number }> {
  const text = await etcd.ctl(['get', 'colour', '-w', 'json'])
  const clusterId = /"cluster_id":(\d+)/.exec(text)?.[1] ?? ''
  return { clusterId, revision: Number(/"revision":(\d+)/.exec(text)?.[1]) }
}
