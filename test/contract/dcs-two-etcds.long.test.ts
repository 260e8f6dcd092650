// Hosts of the configuration that belong to two etcd clusters, met for the first time: who answers first is not believed for
// that. Real members of both, the known ones behind ways that take longer.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import type { Transport } from '../../src/dcs/etcd/target.ts'
import { acquireLeader } from '../../src/dcs/leadership.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { Relay } from './dcs-relay.ts'
import { by, connect as open, startEtcd } from './dcs-rig.ts'
import { SingleEtcd } from './dcs-single.ts'

const work = await makeWorkplace({ after })
const known = await startEtcd(work, 66, 3)
const stranger = await SingleEtcd.start(work, 67, ['--initial-cluster-token=stranger'])
const transports: readonly Transport[] = ['grpc', 'http']

/** Ways to so many members of the known cluster, each taking so long in each direction. */
async function ways(t: TestContext, count: number, delayMs: number): Promise<readonly string[]> {
  const relays = await Promise.all(
    known.members.slice(0, count).map(({ host, clientPort }) => Relay.to(host.address, clientPort)),
  )
  t.after(() => Promise.all(relays.map(relay => relay.close())))
  for (const relay of relays) relay.slow(delayMs)
  return relays.map(relay => relay.endpoint)
}

function connect(t: TestContext, endpoints: readonly string[], scope: string, transport: Transport) {
  const told: string[] = []
  const dcs = open(endpoints, {
    scope,
    transport,
    followMembers: false,
    onEvent: ({ kind }) => void told.push(kind),
  })
  t.after(() => dcs.close())
  return { dcs, told }
}

for (const transport of transports) {
  test(`${transport}: one host of ours and one of a stranger that answers first: neither is read, written or led`, async t => {
    const scope = `tie-${transport}`
    const { dcs: owner } = connect(t, known.endpoints, scope, transport)
    const lease = await owner.grantLease(60, by(5_000))
    assert.equal((await acquireLeader(owner, 'pg1', lease.id, by(5_000))).outcome, 'won')
    const { dcs, told } = connect(t, [stranger.endpoint, ...(await ways(t, 1, 300))], scope, transport)
    await assert.rejects(dcs.read(by(4_000)), error => {
      return /E_DCS_(STALE|TIMEOUT)/.test(String((error as { code?: string }).code))
    })
    await waitFor('both to have been met', { withinMs: 15_000, everyMs: 50 }, async () => {
      await dcs.read(by(1_000)).catch(() => {})
      return told.includes('dcs-contested')
    })
    await assert.rejects(dcs.grantLease(60, by(2_000)), { code: 'E_DCS_STALE' })
    assert.notEqual((await acquireLeader(dcs, 'pg9', lease.id, by(2_000))).outcome, 'won')
    assert.notEqual((await dcs.keepAlive(lease.id, by(2_000))).outcome, 'won')
    const { dcs: there } = connect(t, [stranger.endpoint], scope, transport)
    const theirs = await there.read(by(5_000))
    assert.deepEqual([theirs.leader, theirs.initialize], [undefined, undefined], 'nothing was written there')
    assert.equal((await owner.read(by(5_000))).leader?.name, 'pg1')
  })

  test(`${transport}: two hosts of ours that answer late and a stranger that answers first: ours is followed`, async t => {
    const scope = `late-${transport}`
    const { dcs: owner } = connect(t, known.endpoints, scope, transport)
    const lease = await owner.grantLease(60, by(5_000))
    assert.equal((await acquireLeader(owner, 'pg1', lease.id, by(5_000))).outcome, 'won')
    const endpoints = [stranger.endpoint, ...(await ways(t, 2, 700))]
    const { dcs, told } = connect(t, endpoints, scope, transport)
    const startedMs = performance.now()
    const { position } = await owner.read(by(5_000))
    await waitFor('ours to be followed', { withinMs: 15_000, everyMs: 20 }, async () => {
      const view = await dcs.read(by(5_000)).catch(() => undefined)
      return view?.leader?.name === 'pg1' && view.position.clusterId === position.clusterId
    })
    t.diagnostic(
      `followed ${Math.round(performance.now() - startedMs)} ms after the first question; ${told.join()}`,
    )
    const written = await dcs.write([], [{ kind: 'put', key: 'config', value: '{}' }], by(10_000))
    assert.equal(written.outcome, 'won')
    assert.equal((await owner.read(by(5_000))).config?.modRevision, written.revision)
  })
}
