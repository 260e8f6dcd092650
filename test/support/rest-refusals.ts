// REST calls whose answers depend on what the cluster is like: rows as in `rest-actions.ts`, one group for each state that the
// cluster is brought into. Run against our agents and against the real Patroni.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { callRest } from './rest-actions.ts'

/** LEADER and REPLICA in a body stand for the names. */
interface Row {
  readonly call: string
  readonly body: Readonly<Record<string, unknown>>
  readonly to: 'leader' | 'replica'
  readonly code: number
  readonly says: RegExp
}

const FUTURE = '2037-01-01T00:00:00+00:00'
const AT_ONCE = 4
const ROUNDS_MAX = 25

const word = { name: 'LEADER', conn_url: 'postgres://127.0.0.1:1/x', api_url: 'http://127.0.0.1:1/x' }

/** By the state that they need. */
export const refusalRows = {
  failsafe: [
    { call: 'POST /failsafe', body: word, to: 'replica', code: 200, says: /^Accepted$/ },
    {
      call: 'POST /failsafe',
      body: word,
      to: 'leader',
      code: 500,
      says: /^(Not accepted|Running as a leader)$/,
    },
  ],
  synchronous: [
    {
      call: 'POST /switchover',
      body: { leader: 'LEADER', candidate: 'x' },
      to: 'leader',
      code: 412,
      says: /^candidate name does not match with sync_standby$/,
    },
    {
      call: 'POST /failover',
      body: { candidate: 'x' },
      to: 'leader',
      code: 412,
      says: /^candidate does not exists$/,
    },
  ],
  'without a synchronous standby': [
    {
      call: 'POST /switchover',
      body: { leader: 'LEADER' },
      to: 'replica',
      code: 412,
      says: /^switchover is not possible: can not find sync_standby$/,
    },
  ],
  'without anybody who may lead': [
    {
      call: 'POST /switchover',
      body: { leader: 'LEADER' },
      to: 'leader',
      code: 412,
      says: /^switchover is not possible: no good candidates have been found$/,
    },
    {
      call: 'POST /failover',
      body: { candidate: 'REPLICA' },
      to: 'leader',
      code: 412,
      says: /^failover is not possible: no good candidates have been found$/,
    },
  ],
  'without anybody but the leader': [
    {
      call: 'POST /switchover',
      body: { leader: 'LEADER' },
      to: 'leader',
      code: 412,
      says: /^switchover is not possible: cluster does not have members except leader$/,
    },
  ],
} as const satisfies Readonly<Record<string, readonly Row[]>>

/** Declares the tests. The cluster has a leader and a replica; at the end the replica's agent is stopped. */
export function testRestRefusals(cluster: Cluster, keeper: 'pgherd' | 'patroni'): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  const scene = new Scene(cluster)

  testWithoutConfig(scene, called)
  testAtOnce(scene, called)

  test(`${called}, failsafe: /failsafe tells every member, and its POST is a word between members`, async () => {
    const { leader, replica } = await scene.sides()
    await scene.patch({ failsafe_mode: true })
    const wanted = Object.fromEntries(
      cluster.members.map(each => [each.name, `http://${each.restAddress}/patroni`]),
    )
    for (const member of [leader, replica])
      await waitFor(`the map of ${member.name}`, { withinMs: 20_000 }, async note => {
        const { code, body } = await member.rest('/failsafe')
        note(`${code} ${body}`)
        return code === 200 && isDeepStrictEqual(JSON.parse(body), wanted)
      })
    await scene.rows('failsafe')
    const answer = await callRest(replica, 'POST /failsafe', { ...word, name: leader.name })
    assert.equal(answer.code, 200)
    // Where it stands, for the leader's slots; 3.0.2 does not tell it yet.
    if (keeper === 'pgherd') assert.match(answer.head, /^lsn: \d+\r$/im)
    await scene.patch({ failsafe_mode: null })
    await waitFor('the end of failsafe mode', { withinMs: 20_000 }, async () => {
      return (await callRest(leader, 'POST /failsafe', word)).code === 502
    })
  })

  test(`${called}, synchronous: whom the sync key does not name is no candidate of a switchover`, async () => {
    const { leader, replica } = await scene.sides()
    await scene.patch({ synchronous_mode: true })
    await scene.syncStandby(replica.name)
    await scene.rows('synchronous')
    await scene.tag(replica, { nosync: true })
    await scene.syncStandby(undefined)
    await scene.rows('without a synchronous standby')
    await scene.tag(replica, { nosync: false })
    await scene.patch({ synchronous_mode: null })
    await waitFor('no sync key', { withinMs: 20_000 }, async () => (await scene.syncKey()) === undefined)
    assert.equal((await cluster.leader()).name, leader.name)
  })

  test(`${called}: a member that must not lead is asked itself and is no good candidate`, async () => {
    const { replica } = await scene.sides()
    await scene.tag(replica, { nofailover: true })
    await waitFor('the tag to be told', { withinMs: 20_000 }, async () => {
      const tags = (await replica.status())['tags'] as Readonly<Record<string, unknown>> | undefined
      return tags?.['nofailover'] === true
    })
    await scene.rows('without anybody who may lead')
    await scene.tag(replica, { nofailover: false })
  })

  testSilentEtcd(scene, called)

  test(`${called}: a leader alone has nobody to switch over to`, async () => {
    const { replica } = await scene.sides()
    await replica.agent.stop()
    await waitFor('the key of the other member to be gone', { withinMs: 60_000 }, async () => {
      return (await cluster.etcd.value(`/service/${cluster.scope}/members/${replica.name}`)) === undefined
    })
    await scene.rows('without anybody but the leader')
  })
}

class Scene {
  readonly cluster: Cluster
  #sides: { readonly leader: Member; readonly replica: Member } | undefined

  constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  forget(): void {
    this.#sides = undefined
  }

  /** Nothing here changes who leads, but for an etcd that is away: it is asked once. */
  async sides(): Promise<{ readonly leader: Member; readonly replica: Member }> {
    if (this.#sides === undefined) {
      const leader = await this.cluster.leader()
      const [replica] = await this.cluster.replicas()
      assert.ok(replica)
      this.#sides = { leader, replica }
    }
    return this.#sides
  }

  async rows(state: keyof typeof refusalRows): Promise<void> {
    const sides = await this.sides()
    const names: Readonly<Record<string, string>> = { LEADER: sides.leader.name, REPLICA: sides.replica.name }
    for (const { call, body, to, code, says } of refusalRows[state] satisfies readonly Row[]) {
      const given = Object.fromEntries(
        Object.entries(body).map(([key, value]) => [key, names[String(value)] ?? value]),
      )
      const answer = await callRest(sides[to], call, given)
      assert.equal(answer.code, code, `${call} ${JSON.stringify(given)}: ${answer.body}`)
      assert.match(answer.body, says)
      assert.equal(answer.type, 'text/html')
    }
  }

  async patch(body: unknown): Promise<void> {
    const answer = await callRest((await this.sides()).leader, 'PATCH /config', body)
    assert.equal(answer.code, 200, answer.body)
  }

  async tag(member: Member, tags: Readonly<Record<string, unknown>>): Promise<void> {
    await member.configure({ tags })
    assert.equal((await callRest(member, 'POST /reload', undefined)).code, 202)
  }

  async syncKey(): Promise<Readonly<Record<string, unknown>> | undefined> {
    const value = await this.cluster.etcd.value(`/service/${this.cluster.scope}/sync`)
    const key = value === undefined ? undefined : JSON.parse(value)
    return key?.leader === null || key?.leader === undefined ? undefined : key
  }

  async syncStandby(name: string | undefined): Promise<void> {
    await waitFor(`the sync key to name ${name ?? 'nobody'}`, { withinMs: 30_000 }, async note => {
      const key = await this.syncKey()
      note(JSON.stringify(key))
      return key !== undefined && (key['sync_standby'] ?? undefined) === name
    })
  }
}

function testWithoutConfig(scene: Scene, called: string): void {
  test(`${called}: without the config key GET /config is 502 and PATCH /config 503`, async () => {
    const { leader, replica } = await scene.sides()
    const { etcd, scope } = scene.cluster
    const before = (await etcd.value(`/service/${scope}/config`)) ?? ''
    // The leader would write it again at once.
    await leader.agent.freeze()
    try {
      await etcd.ctl(['del', `/service/${scope}/config`])
      await waitFor('GET /config to be 502', { withinMs: 3_000 }, async note => {
        const { code, body } = await replica.rest('/config')
        note(`${code} ${body}`)
        return code === 502
      })
      const answer = await callRest(replica, 'PATCH /config', { ttl: 30 })
      assert.deepEqual([answer.code, answer.type], [503, 'text/html;charset=utf-8'])
      await etcd.ctl(['put', `/service/${scope}/config`, before])
    } finally {
      leader.agent.thaw()
    }
    await scene.cluster.complete()
  })
}

/** Each call reads and then writes over what it read: of several at the same moment one is first. */
function testAtOnce(scene: Scene, called: string): void {
  test(`${called}: of several PATCHes at the same moment one is 200, and who was slower 409`, async t => {
    const { leader } = await scene.sides()
    let n = 0
    const codes = await untilLost(() => {
      n += 1
      return callRest(leader, 'PATCH /config', { own: `value ${n}` })
    })
    t.diagnostic(codes.join(' '))
    assert.deepEqual([...new Set(codes)].sort(), [200, 409])
    await scene.patch({ own: null })
  })

  test(`${called}: of several DELETE /switchover at the same moment one is 200, and who was slower 409`, async t => {
    const { leader, replica } = await scene.sides()
    const body = { leader: leader.name, candidate: replica.name, scheduled_at: FUTURE }
    const codes = await untilLost(
      () => callRest(leader, 'DELETE /switchover', undefined),
      async () => {
        assert.equal((await callRest(leader, 'POST /switchover', body)).code, 202)
        await waitFor('the schedule to be known', { withinMs: 10_000 }, async () => {
          return 'scheduled_switchover' in JSON.parse((await leader.rest('/cluster')).body)
        })
      },
    )
    t.diagnostic(codes.join(' '))
    // Who read after the first had written found none.
    assert.deepEqual([...new Set(codes)].filter(code => code !== 404).sort(), [200, 409])
  })
}

/** Rounds of calls at the same moment until one of them has lost; all codes that came. */
async function untilLost(
  call: () => Promise<{ readonly code: number }>,
  before: () => Promise<void> = async () => {},
): Promise<readonly number[]> {
  const codes: number[] = []
  for (let round = 0; round < ROUNDS_MAX && !codes.includes(409); round += 1) {
    await before()
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, call))
    codes.push(...answers.map(({ code }) => code))
  }
  return codes
}

function testSilentEtcd(scene: Scene, called: string): void {
  test(`${called}: PUT /config is 502 while etcd does not answer`, async () => {
    const { replica } = await scene.sides()
    const { etcd, scope } = scene.cluster
    const before = JSON.parse((await etcd.value(`/service/${scope}/config`)) ?? '')
    for (const member of etcd.members) await member.server.freeze()
    try {
      const answer = await callRest(replica, 'PUT /config', { ...before, own: 'x' })
      assert.deepEqual([answer.code, answer.type], [502, 'text/html;charset=utf-8'])
    } finally {
      for (const member of etcd.members) member.server.thaw()
    }
    await scene.cluster.complete(60_000)
    // What came late is taken back, whoever leads now.
    assert.equal((await callRest(await scene.cluster.leader(), 'PUT /config', before)).code, 200)
    scene.forget()
  })
}
