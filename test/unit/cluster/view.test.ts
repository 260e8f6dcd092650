import assert from 'node:assert/strict'
import test from 'node:test'
import { isNewer, printEpoch, sameEpoch } from '../../../src/cluster/epoch.ts'
import { epochOf, type KeyValue, leaderMember, parseView } from '../../../src/cluster/view.ts'

const position = { clusterId: '77', revision: 50n, raftTerm: 3n }

function kv(key: string, value: string, revision = 10n, leaseId = 0n): KeyValue {
  return { key, value, createRevision: revision, modRevision: revision + 1n, leaseId }
}

test('no keys are an empty view', () => {
  const view = parseView(position, [])
  assert.equal(view.position, position)
  assert.deepEqual(
    [view.initialize, view.config, view.leader, view.sync, view.request, view.history, view.failsafe],
    Array(7).fill(undefined),
  )
  assert.deepEqual([view.members.size, view.own.size, view.status.optime], [0, 0, undefined])
  assert.equal(epochOf(view), undefined)
  assert.equal(leaderMember(view), undefined)
})

test('all keys are read with the revisions that writers compare', () => {
  const view = parseView(position, [
    kv('initialize', '7587899103242114567', 1n),
    kv('config', '{"ttl":30}', 2n),
    kv('leader', 'pg1', 20n, 7587899103242114567n),
    kv('members/pg1', '{"role":"primary"}', 21n, 7587899103242114567n),
    kv('members/pg2', 'rubbish', 22n),
    kv('status', '{"optime":5}'),
    kv('sync', '{"leader":"pg1","sync_standby":"pg2"}', 30n),
    kv('failover', '{"member":"pg2"}', 31n),
    kv('history', '[[1,100,"r"]]', 32n),
    kv('failsafe', '{"pg1":"http://a","pg2":5}'),
    kv('pgherd/proxies/p1', 'x', 33n),
    kv('something/else', 'x'),
  ])
  assert.deepEqual(view.initialize, { value: '7587899103242114567', createRevision: 1n, modRevision: 2n })
  assert.deepEqual(view.config, { value: { ttl: 30 }, createRevision: 2n, modRevision: 3n })
  assert.deepEqual(view.leader, {
    name: 'pg1',
    createRevision: 20n,
    modRevision: 21n,
    leaseId: 7587899103242114567n,
  })
  assert.deepEqual([...view.members.keys()], ['pg1', 'pg2'])
  assert.equal(view.status.optime, 5n)
  assert.deepEqual([view.sync?.value.standbys, view.syncModRevision], [['pg2'], 31n])
  assert.deepEqual([view.request?.value.candidate, view.requestModRevision], ['pg2', 32n])
  assert.equal(view.history?.modRevision, 33n)
  assert.deepEqual(view.failsafe, { pg1: 'http://a' })
  assert.deepEqual([...view.own.keys()], ['proxies/p1'])
  assert.equal(leaderMember(view)?.role, 'primary')
})

test('malformed values count as absent, their revisions stay for whoever repairs them', () => {
  const view = parseView(position, [
    kv('config', '[]'),
    kv('sync', 'x', 30n),
    kv('failover', '{}', 31n),
    kv('history', 'x'),
    kv('failsafe', '5'),
    kv('members/', '{}'),
    kv('members/a/b', '{}'),
  ])
  assert.deepEqual(
    [view.config, view.sync, view.request, view.history, view.failsafe],
    Array(5).fill(undefined),
  )
  assert.deepEqual([view.syncModRevision, view.requestModRevision, view.members.size], [31n, 32n, 0])
})

test('an empty initialize is a bootstrap that runs, a missing one is none', () => {
  assert.equal(parseView(position, [kv('initialize', '')]).initialize?.value, '')
  assert.equal(parseView(position, [kv('initialize', ' 123\n')]).initialize?.value, '123')
})

test('the name in the leader key is taken byte for byte', () => {
  assert.equal(parseView(position, [kv('leader', 'pg1\n')]).leader?.name, 'pg1\n')
})

test('the position of agents before 2.1.0 is read from its own key, while there is no status', () => {
  assert.equal(parseView(position, [kv('optime/leader', '67108864')]).status.optime, 67108864n)
  const both = [kv('optime/leader', '1'), kv('status', '{"optime":2}')]
  assert.equal(parseView(position, both).status.optime, 2n)
})

test('an epoch is cluster, create revision and name: re-attaching a lease keeps it', () => {
  const before = epochOf(parseView(position, [kv('leader', 'pg1', 20n, 1n)]))
  const after = epochOf(parseView(position, [{ ...kv('leader', 'pg1', 20n, 2n), modRevision: 40n }]))
  assert.ok(before !== undefined && after !== undefined)
  assert.ok(sameEpoch(before, after))
  assert.equal(printEpoch(before), 'pg1@20')
})

test('only terms of one etcd cluster have an order', () => {
  const a = { clusterId: '77', createRevision: 20n, member: 'pg1' }
  assert.ok(isNewer({ ...a, createRevision: 21n }, a))
  assert.ok(!isNewer(a, a))
  assert.ok(!isNewer({ ...a, clusterId: '78', createRevision: 99n }, a))
  assert.ok(!sameEpoch(a, { ...a, member: 'pg2' }))
  assert.ok(!sameEpoch(a, { ...a, clusterId: '78' }))
})
