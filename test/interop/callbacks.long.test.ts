// The same things happen to a member of ours and to a real Patroni 3.0.2 that share a cluster, with the same recording script:
// the calls are compared. Twice, so that each is the first leader once.
//
// Differences, all of them ours or of the version:
// - Patroni 3.0.2 says `master`, 4.x and we say `primary`; the option callback_role is not used here, the name is translated.
// - on_reload comes after every reload of the server; when the server needs one of its own accord differs (a changed upstream,
//   for example), so only the ordered one is compared.
// - A leader whose server crashed starts it as the primary that it is, with us: one on_start. Patroni starts it as a standby
//   without upstream and promotes that: two changes of role, and an address that goes and comes back.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { Keeper, Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createCluster } from '../support/fixture.ts'
import { recordCalls, recordedCalls } from '../support/recorded-calls.ts'

const CALLED_WITHIN_MS = 120_000

const CRASH = 'crash of the leader’s server'
/** What its leader is told of it. */
const AFTER_A_CRASH: Readonly<Record<Keeper, readonly string[]>> = {
  pgherd: ['on_start primary'],
  patroni: ['on_role_change replica', 'on_role_change primary'],
}

type Told = Readonly<Record<string, readonly string[]>>

/** What was called, without the scope, which must be the cluster's. */
async function calls(member: Member): Promise<readonly string[]> {
  return (await recordedCalls(member)).map(line => {
    const [action, role, scope, ...more] = line.split(' ')
    assert.deepEqual([scope, more], ['pgsql', []], line)
    return `${action} ${role === 'master' ? 'primary' : role}`
  })
}

const ofRoles = async (member: Member) => (await calls(member)).filter(call => !call.startsWith('on_reload'))

/** Lives the story with these keepers; what each member was told, step by step. */
async function story(t: TestContext, keepers: readonly [Keeper, Keeper]): Promise<Told> {
  const { cluster } = await createCluster(t, {
    etcd: 1,
    members: keepers,
    proxies: 0,
    dcs: { ttl: 20, loop_wait: 2, retry_timeout: 3, pgherd: null },
  })
  for (const member of cluster.members) await recordCalls(member)
  const [pg1, pg2] = [cluster.member('pg1'), cluster.member('pg2')]
  const told: Record<string, readonly string[]> = {}
  const seen = { pg1: 0, pg2: 0 }
  /** Waits until each has been told this often since the last step. */
  const step = async (name: string, first: number, second: number) => {
    for (const [member, key, count] of [
      [pg1, 'pg1', first],
      [pg2, 'pg2', second],
    ] as const) {
      await waitFor(
        `${count} calls on ${key} (${member.keeper}) after: ${name}`,
        { withinMs: CALLED_WITHIN_MS },
        async note => {
          const now = (await ofRoles(member)).slice(seen[key])
          note(now.join(', '))
          return now.length >= count
        },
      )
      const all = await ofRoles(member)
      told[`${name}: ${key}`] = all.slice(seen[key])
      seen[key] = all.length
    }
  }
  await cluster.start()
  await step('start', 1, 1)
  for (const member of cluster.members) {
    const before = (await calls(member)).length
    assert.equal((await member.rest('/reload', { method: 'POST' })).code, 202)
    const reloaded = await waitFor(
      `on_reload on ${member.name} (${member.keeper})`,
      { withinMs: CALLED_WITHIN_MS },
      async () => (await calls(member)).slice(before).find(call => call.startsWith('on_reload')),
    )
    told[`reload: ${member.name}`] = [reloaded]
  }
  for (const [name, member, counts] of [
    ['restart of the replica', pg2, [0, 1]],
    ['restart of the leader', pg1, [1, 0]],
  ] as const) {
    const answer = await member.rest('/restart', {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(60_000),
    })
    assert.equal(answer.code, 200, answer.body)
    await step(name, counts[0], counts[1])
    await cluster.complete(60_000)
  }
  for (const [from, to, counts] of [
    [pg1, pg2, [2, 1]],
    [pg2, pg1, [1, 2]],
  ] as const) {
    const body = JSON.stringify({ leader: from.name, candidate: to.name })
    const answer = await from.rest('/switchover', {
      method: 'POST',
      body,
      signal: AbortSignal.timeout(60_000),
    })
    assert.equal(answer.code, 200, answer.body)
    await cluster.complete(120_000)
    await step(`switchover to ${to.name}`, counts[0], counts[1])
  }
  await pg1.killPostmaster()
  const crash = AFTER_A_CRASH[pg1.keeper]
  await step(CRASH, crash.length, 0)
  assert.deepEqual(told[`${CRASH}: pg1`], crash)
  await cluster.complete(120_000)
  await pg1.host.kill()
  await cluster.leader({ not: [pg1], withinMs: 120_000 })
  await step('loss of the leader’s host', 0, 1)
  await pg1.agent.start()
  await cluster.complete(120_000)
  await step('its return', 1, 0)
  await pg1.agent.stop()
  await step('clean stop of the replica', 1, 0)
  await pg2.agent.stop()
  await step('clean stop of the leader', 0, 1)
  return told
}

test('a member of ours is told the same as a real Patroni that lives through the same', async t => {
  const ours: Record<string, readonly string[]> = {}
  const theirs: Record<string, readonly string[]> = {}
  for (const keepers of [
    ['pgherd', 'patroni'],
    ['patroni', 'pgherd'],
  ] as const) {
    await t.test(`${keepers[0]} leads first, ${keepers[1]} follows`, async t => {
      for (const [what, called] of Object.entries(await story(t, keepers))) {
        const keeper = keepers[what.endsWith('pg1') ? 0 : 1]
        const side = keeper === 'pgherd' ? ours : theirs
        if (what !== `${CRASH}: pg1`) side[what] = called
        t.diagnostic(`${keeper}: ${what}: ${called.join(', ') || 'nothing'}`)
      }
    })
  }
  assert.deepEqual(ours, theirs)
})
