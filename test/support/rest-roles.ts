// What the REST API answers where a standby is synchronous, left out by a tag, or everything is paused: rows as in
// `rest-table.ts`, for clusters that change. Run against our agents and against the real Patroni.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { callRest } from './rest-actions.ts'
import { findSides, untilCodes } from './rest-table.ts'

/** Request, code on the leader, code on the replica. */
type CodeRow = readonly [string, number, number]

const synchronous: readonly CodeRow[] = [
  ['/sync', 503, 200],
  ['/synchronous', 503, 200],
  ['/read-only-sync', 200, 200],
  ['/read-only-synchronous', 200, 200],
  ['/async', 503, 503],
  ['/asynchronous', 503, 503],
  ['/replica', 503, 200],
  ['/read-only', 200, 200],
]
const quorum: readonly CodeRow[] = [
  ['/quorum', 503, 200],
  ['/read-only-quorum', 200, 200],
  ['/sync', 503, 503],
  ['/read-only-sync', 200, 503],
  ['/async', 503, 503],
  ['/replica', 503, 200],
]
const leftOut: readonly CodeRow[] = [
  ['/replica', 503, 503],
  ['/read-only', 200, 503],
  ['/async', 503, 503],
  ['/health', 200, 200],
  ['/primary', 200, 503],
]

/** Declares the tests. The cluster has a leader and a replica. */
export function testRestRoles(cluster: Cluster, keeper: 'pgherd' | 'patroni'): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  const patch = async (body: unknown) => {
    const answer = await callRest(await cluster.leader(), 'PATCH /config', body)
    assert.equal(answer.code, 200, answer.body)
  }

  test(`${called}: a synchronous standby by its checks, its document, /cluster and /metrics`, async () => {
    await patch({ synchronous_mode: true })
    await allCodes(cluster, synchronous)
    await told(cluster, 'sync_standby')
    await patch({ synchronous_mode: null })
    await untilCodes((await findSides(cluster))[1], '/async', 200)
  })

  if (keeper === 'pgherd') {
    test(`${called}: a voter of a quorum by its checks, its document, /cluster and /metrics (since 4.0)`, async () => {
      await patch({ synchronous_mode: 'quorum' })
      await allCodes(cluster, quorum)
      await told(cluster, 'quorum_standby')
      await patch({ synchronous_mode: null })
      await untilCodes((await findSides(cluster))[1], '/async', 200)
    })
  }

  test(`${called}: a replica with noloadbalance takes no reads, and says why`, async () => {
    const [, replica] = await findSides(cluster)
    await tag(replica, { noloadbalance: true })
    await allCodes(cluster, leftOut)
    assert.deepEqual((await replica.status())['tags'], { noloadbalance: true })
    await tag(replica, { noloadbalance: false })
    await untilCodes(replica, '/replica', 200)
  })

  test(`${called}: paused, the documents and the metrics say so, and nothing else changes`, async () => {
    await patch({ pause: true })
    const sides = await findSides(cluster)
    for (const member of sides) {
      await waitFor(`${member.name} to be paused`, { withinMs: 15_000 }, async () => {
        return (await member.status())['pause'] === true
      })
      assert.match((await member.rest('/metrics')).body, /^patroni_is_paused\{[^}]*\} 1$/m)
      assert.equal((await member.rest('/liveness')).code, 200)
    }
    assert.equal(JSON.parse((await sides[0].rest('/cluster')).body)['pause'], true)
    await allCodes(cluster, [
      ['/primary', 200, 503],
      ['/replica', 503, 200],
    ])
    await patch({ pause: null })
    await waitFor('the end of the pause', { withinMs: 15_000 }, async () => {
      const states = await Promise.all(sides.map(member => member.status()))
      return states.every(status => status['pause'] !== true)
    })
  })
}

async function allCodes(cluster: Cluster, rows: readonly CodeRow[]): Promise<void> {
  const [leader, replica] = await findSides(cluster)
  for (const [request, ofLeader, ofReplica] of rows) {
    await untilCodes(leader, request, ofLeader)
    await untilCodes(replica, request, ofReplica)
  }
}

/** The replica's document and metric, and its role in /cluster. */
async function told(cluster: Cluster, role: 'sync_standby' | 'quorum_standby'): Promise<void> {
  const [leader, replica] = await findSides(cluster)
  assert.equal((await replica.status())[role], true)
  assert.equal(role in (await leader.status()), false)
  assert.match((await replica.rest('/metrics')).body, new RegExp(`^patroni_${role}\\{[^}]*\\} 1$`, 'm'))
  await waitFor(`/cluster to tell a ${role}`, { withinMs: 15_000 }, async note => {
    const { members } = JSON.parse((await leader.rest('/cluster')).body) as {
      readonly members: readonly Readonly<Record<string, unknown>>[]
    }
    const roles = members.map(member => member['role']).sort()
    note(roles.join())
    return isDeepStrictEqual(roles, ['leader', role].sort())
  })
}

async function tag(member: Member, tags: Readonly<Record<string, unknown>>): Promise<void> {
  await member.configure({ tags })
  assert.equal((await callRest(member, 'POST /reload', undefined)).code, 202)
}
