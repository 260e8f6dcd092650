// One table of what the REST API answers on the leader and on a streaming replica. It is run against our agent and
// against the real Patroni, so that a row is more than our own belief.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { rawAnswer } from './raw-http.ts'

/** A row of health checks: request, code on the leader, code on the replica; `since` marks what Debian's 3.0.2 does not have yet. */
interface Row {
  readonly request: string
  readonly leader: number
  readonly replica: number
  readonly since?: string
}

export const restRows: readonly Row[] = [
  row('/', 200, 503),
  row('/primary', 200, 503),
  row('/master', 200, 503),
  row('/read-write', 200, 503),
  row('/leader', 200, 503),
  row('/standby-leader', 503, 503),
  row('/standby_leader', 503, 503),
  row('/replica', 503, 200),
  row('/read-only', 200, 200),
  row('/sync', 503, 503),
  row('/synchronous', 503, 503),
  row('/read-only-sync', 200, 503),
  row('/read-only-synchronous', 200, 503),
  row('/quorum', 503, 503, '4.0'),
  row('/read-only-quorum', 200, 503, '4.0'),
  row('/async', 503, 200),
  row('/asynchronous', 503, 200),
  row('/health', 200, 200),
  row('/nonsense', 503, 503),
  row('/any-primary-here', 200, 503),
  row('/any-replica-here', 503, 200),
  row('/leader/x', 200, 503),
  row('/sync/x', 503, 503),
  row('/replica?lag=1kB', 503, 200),
  row('/replica?lag=16MB', 503, 200),
  row('/replica?lag=junk', 503, 200),
  row('/replica?tag_zone=a', 503, 200),
  row('/replica?tag_zone=b', 503, 503),
  row('/replica?tag_missing=a', 503, 503),
  row('/replica?tag_big=true', 503, 200),
  row('/replica?tag_big=True', 503, 503),
  row('/replica?tag_rank=7', 503, 200),
  row('/replica?tag_rank=7&tag_zone=b', 503, 503),
  row('/primary?tag_zone=b', 200, 503),
  row('/leader?tag_zone=b', 200, 503),
  row('/read-only?tag_zone=b', 503, 503),
  row('/read-only?tag_zone=a', 200, 200),
  row('/health?tag_zone=b', 503, 503),
  row('/replica?replication_state=streaming', 503, 200),
  row('/replica?replication_state=nonsense', 503, 503, '4.1'),
]

/** GETs that are no health checks, with their code everywhere, and whether there is a body. */
export const restDocuments: readonly (readonly [string, number, boolean])[] = [
  ['/patroni', 200, true],
  ['/patroni/x', 200, true],
  ['/cluster', 200, true],
  ['/config', 200, true],
  ['/config/x', 200, true],
  ['/history', 200, true],
  ['/metrics', 200, true],
  ['/liveness', 200, false],
  ['/liveness/x', 200, false],
  ['/readiness', 200, false],
  ['/readiness?lag=16MB', 200, false],
  ['/readiness?lag=16MB&mode=write', 200, false],
  ['/readiness?mode=apply', 200, false],
  ['/cluster/x', 200, true],
  ['/history/x', 200, true],
  ['/metrics/x', 200, true],
  ['/failsafe', 502, true],
  ['/failsafe/x', 502, true],
]

/** Patroni's metrics, and since when the real one has them; undefined: 3.0.2 does. */
export const restMetrics: readonly (readonly [string, string?])[] = [
  ['patroni_version'],
  ['patroni_postgres_running'],
  ['patroni_postmaster_start_time'],
  ['patroni_primary'],
  ['patroni_xlog_location'],
  ['patroni_standby_leader'],
  ['patroni_replica'],
  ['patroni_sync_standby'],
  ['patroni_quorum_standby', '4.0'],
  ['patroni_xlog_received_location'],
  ['patroni_xlog_replayed_location'],
  ['patroni_xlog_replayed_timestamp'],
  ['patroni_xlog_paused'],
  ['patroni_postgres_streaming', '3.1'],
  ['patroni_postgres_in_archive_recovery', '3.1'],
  ['patroni_postgres_server_version'],
  ['patroni_cluster_unlocked'],
  ['patroni_failsafe_mode_is_active'],
  ['patroni_failsafe_mode_enabled', '4.1'],
  ['patroni_failsafe_member', '4.1'],
  ['patroni_postgres_timeline'],
  ['patroni_dcs_last_seen'],
  ['patroni_pending_restart'],
  ['patroni_is_paused'],
  ['patroni_postgres_state', '4.1'],
  ['patroni_failover_priority', '4.1'],
]

const TIMELINE = 'patroni_postgres_timeline'
const POSITIONS = [
  'patroni_xlog_location',
  'patroni_xlog_received_location',
  'patroni_xlog_replayed_location',
]

/** By OPTIONS and HEAD these are health checks of unknown names. */
const onlyByGet = ['/patroni', '/cluster', '/config', '/history', '/liveness', '/readiness', '/metrics']

/** Fields of the status document that everybody reads, on the leader and on a replica. */
const leaderFields = [
  'state',
  'postmaster_start_time',
  'role',
  'server_version',
  'xlog',
  'timeline',
  'replication',
]
const replicaFields = ['state', 'postmaster_start_time', 'role', 'server_version', 'xlog', 'timeline']
const everywhere = ['dcs_last_seen', 'tags', 'database_system_identifier', 'patroni']

function row(request: string, leader: number, replica: number, since?: string): Row {
  return { request, leader, replica, ...(since === undefined ? {} : { since }) }
}

/** Tags that the rows ask for; the cluster must be built with them. */
export const tableTags = { zone: 'a', big: true, rank: 7 }

/** Declares one test for each row. `keeper` says which rows hold: 3.0.2 lacks those that came later. */
export function testRestTable(cluster: Cluster, keeper: 'pgherd' | 'patroni'): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  // Nothing here changes who leads: it is asked once.
  let known: Promise<readonly [Member, Member]> | undefined
  const sides = (): Promise<readonly [Member, Member]> => {
    known ??= findSides(cluster)
    return known
  }
  for (const { request, leader, replica, since } of restRows) {
    if (since !== undefined && keeper === 'patroni') continue
    const when = since === undefined ? '' : ` (since ${since})`
    test(`${called}: GET, HEAD and OPTIONS ${request} are ${leader} on the leader, ${replica} on a replica${when}`, async () => {
      const [first, second] = await sides()
      await untilCodes(first, request, leader)
      await untilCodes(second, request, replica)
    })
  }
  for (const [target, code, hasBody] of restDocuments) {
    test(`${called}: GET ${target} is ${code} ${hasBody ? 'with' : 'without'} a body everywhere`, async () => {
      for (const member of await sides()) {
        const answer = await rawAnswer(member.host.address, member.config.restPort, 'GET', target)
        assert.equal(answer.code, code)
        assert.equal(answer.body !== '', hasBody)
      }
    })
  }
  for (const target of onlyByGet) {
    test(`${called}: OPTIONS and HEAD ${target} are 503`, async () => {
      const [leader] = await sides()
      const [, ...others] = await codes(leader, target)
      assert.deepEqual(others, [503, 503])
    })
  }
  testForm(called, sides)
  testFields(called, sides)
}

type Sides = () => Promise<readonly [Member, Member]>

function testForm(called: string, sides: Sides): void {
  test(`${called}: answers without a body are one status line, those with one end with the connection`, async () => {
    const [leader] = await sides()
    const ask = (method: string, target: string) =>
      rawAnswer(leader.host.address, leader.config.restPort, method, target)
    const bare = await ask('OPTIONS', '/primary')
    assert.equal(bare.text, 'HTTP/1.0 200 OK\r\n\r\n')
    const full = await ask('GET', '/primary')
    assert.match(full.text, /^HTTP\/1\.0 200 OK\r\n/)
    assert.equal(full.headers.get('content-type'), 'application/json')
    assert.deepEqual(
      [full.headers.get('content-length'), full.headers.get('transfer-encoding')],
      [undefined, undefined],
    )
    assert.deepEqual(
      JSON.parse(full.body).role === 'primary' || JSON.parse(full.body).role === 'master',
      true,
    )
    assert.match(full.body, /^\{"state": "running", "postmaster_start_time": "/)
  })

  test(`${called}: a method or path that nobody handles is 501 with a page`, async () => {
    const [leader] = await sides()
    for (const [method, target] of [
      ['DELETE', '/nonsense'],
      ['PUT', '/nonsense'],
      ['POST', '/nonsense'],
      ['BREW', '/'],
      ['get', '/primary'],
    ] as const) {
      const answer = await rawAnswer(leader.host.address, leader.config.restPort, method, target)
      assert.equal(answer.code, 501, `${method} ${target}`)
      assert.match(answer.headers.get('content-type') ?? '', /^text\/html/)
    }
  })
}

function testFields(called: string, sides: Sides): void {
  test(`${called}: the status document has the fields that everybody reads`, async () => {
    const [leader, replica] = await sides()
    for (const [member, fields] of [
      [leader, leaderFields],
      [replica, replicaFields],
    ] as const) {
      const document = await member.status()
      const missing = [...fields, ...everywhere].filter(field => !(field in document))
      assert.deepEqual(missing, [], member.name)
      assert.equal(document.state, 'running')
      assert.equal(typeof document.timeline, 'number')
      assert.match(
        String(document['postmaster_start_time']),
        /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d$/,
      )
      assert.match(String(document['database_system_identifier']), /^\d{19}$/)
    }
    const xlog = (await replica.status())['xlog'] as Readonly<Record<string, unknown>>
    assert.deepEqual(Object.keys(xlog).sort(), [
      'paused',
      'received_location',
      'replayed_location',
      'replayed_timestamp',
    ])
    const [sender] = (await leader.status())['replication'] as readonly Readonly<Record<string, unknown>>[]
    assert.deepEqual(Object.keys(sender ?? {}), [
      'usename',
      'application_name',
      'client_addr',
      'state',
      'sync_state',
      'sync_priority',
    ])
  })

  test(`${called}: /cluster names every member with role, state, address and timeline`, async () => {
    const [leader, replica] = await sides()
    // The real one answers from what its watch has told it so far, and keys are written with each member's own turn.
    await waitFor('/cluster to tell everything of both', { withinMs: 15_000 }, async note => {
      const { members } = JSON.parse((await replica.rest('/cluster')).body) as {
        readonly members: readonly Readonly<Record<string, unknown>>[]
      }
      const roles = members.map(member => [member['name'], member['role']]).sort()
      const missing = members.flatMap(member =>
        ['name', 'role', 'state', 'api_url', 'host', 'port', 'timeline', 'tags']
          .filter(field => !(field in member))
          .map(field => `${String(member['name'])} has no ${field}`),
      )
      note(`${JSON.stringify(roles)} ${missing.join(', ')}`)
      const wanted = [
        [leader.name, 'leader'],
        [replica.name, 'replica'],
      ].sort()
      return missing.length === 0 && isDeepStrictEqual(roles, wanted)
    })
  })

  test(`${called}: /metrics has every name, on the leader and on a replica`, async () => {
    const wanted = restMetrics.filter(([, since]) => since === undefined || called === 'pgherd')
    for (const member of await sides()) {
      const { body } = await member.rest('/metrics')
      const missing = wanted.filter(([name]) => !new RegExp(`^${name} ?\\{`, 'm').test(body))
      assert.deepEqual(missing, [], member.name)
    }
  })

  test(`${called}: positions in /metrics are counters, everything else a gauge`, async () => {
    for (const member of await sides()) {
      const { body } = await member.rest('/metrics')
      const types = [...body.matchAll(/^# TYPE (patroni_\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [
        name,
        type,
      ])
      assert.ok(types.length >= restMetrics.filter(([, since]) => since === undefined).length, body)
      const counters = types.filter(([, type]) => type !== 'gauge')
      // 3.0.2 counts timelines; since 4.x that is a gauge.
      const names = called === 'pgherd' ? POSITIONS : [TIMELINE, ...POSITIONS]
      assert.deepEqual(
        counters.sort(),
        names.map(name => [name, 'counter']),
      )
    }
  })

  test(`${called}: /metrics says who is primary and where`, async () => {
    const [leader, replica] = await sides()
    const value = async (member: Member, name: string) =>
      new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec((await member.rest('/metrics')).body)?.[1]
    assert.equal(await value(leader, 'patroni_postgres_running'), '1')
    assert.equal(await value(replica, 'patroni_replica'), '1')
    assert.equal(await value(leader, 'patroni_replica'), '0')
    assert.equal(await value(leader, 'patroni_cluster_unlocked'), '0')
    assert.equal(await value(leader, 'patroni_postgres_timeline'), String((await leader.status()).timeline))
    assert.ok(Number(await value(leader, 'patroni_xlog_location')) > 0)
    assert.ok(Number(await value(replica, 'patroni_xlog_replayed_location')) > 0)
    assert.ok(Math.abs(Number(await value(leader, 'patroni_dcs_last_seen')) - Date.now() / 1000) < 60)
  })
}

export async function findSides(cluster: Cluster): Promise<readonly [Member, Member]> {
  const leader = await cluster.leader()
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  return [leader, replica]
}

/** All three methods give this code. A member answers from its last look: the leader's new position may be known before ours. */
export async function untilCodes(member: Member, target: string, code: number): Promise<void> {
  const what = `GET, HEAD and OPTIONS ${target} of ${member.name} to be ${code}`
  await waitFor(what, { withinMs: 10_000, everyMs: 250 }, async note => {
    const now = await codes(member, target)
    note(now.join(', '))
    return isDeepStrictEqual(now, [code, code, code])
  })
}

/** Codes by GET, HEAD and OPTIONS. */
async function codes(member: Member, target: string): Promise<readonly number[]> {
  const answers = ['GET', 'HEAD', 'OPTIONS'].map(method =>
    rawAnswer(member.host.address, member.config.restPort, method, target),
  )
  return (await Promise.all(answers)).map(answer => answer.code)
}
