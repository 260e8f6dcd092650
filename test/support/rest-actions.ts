// One table of the REST calls that change something: which body gets which code and text. Run against our agents and
// against the real Patroni, like the table of checks; below it what the calls really do.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { rawExchange } from './raw-http.ts'

interface Row {
  readonly call: string
  /** JSON, or text as it is; undefined: no body and no length. LEADER stands for the leader's name. */
  readonly body: unknown
  readonly to: 'leader' | 'replica'
  readonly code: number
  readonly says?: RegExp
  /** Debian's 3.0.2 does not have it yet. */
  readonly since?: string
}

const FUTURE = '2037-01-01T00:00:00+00:00'
const PAST = '2001-01-01T00:00:00+00:00'
const PARSE = /^Unable to parse scheduled timestamp\. It should be in an unambiguous format, e\.g\. ISO 8601$/

export const actionRows: readonly Row[] = [
  row('PATCH /config', undefined, 'leader', 411),
  row('PATCH /config', '', 'leader', 400),
  row('PATCH /config', '{"a":', 'leader', 400),
  row('PATCH /config', [], 'replica', 400),
  row('PATCH /config', {}, 'leader', 400),
  row('PUT /config', undefined, 'leader', 411),
  row('PUT /config', {}, 'replica', 400),
  row('POST /restart', '{"a":', 'leader', 400),
  row('POST /restart', { role: 'nonsense' }, 'leader', 400, /^PostgreSQL role should be either primary/),
  row('POST /restart', { postgres_version: 'x.y' }, 'leader', 400, /^Invalid PostgreSQL version: x\.y$/),
  row(
    'POST /restart',
    { postgres_version: '10' },
    'leader',
    400,
    /^Invalid PostgreSQL version format: X\.Y or X\.Y\.Z is accepted: 10$/,
  ),
  row('POST /restart', { timeout: -1 }, 'leader', 400, /^Timeout should be a positive number of seconds$/),
  row('POST /restart', { timeout: 'x' }, 'leader', 400, /^Timeout should be a positive number of seconds$/),
  row(
    'POST /restart',
    { nonsense: 1 },
    'leader',
    400,
    /^Unknown filter for the scheduled restart: nonsense$/,
  ),
  row('POST /restart', { schedule: PAST }, 'leader', 422, /^Cannot schedule restart in the past$/),
  row('POST /restart', { schedule: 'soon' }, 'leader', 422, PARSE),
  row(
    'POST /restart',
    { schedule: '2037-01-01T00:00' },
    'leader',
    400,
    /^Timezone information is mandatory for the scheduled restart$/,
  ),
  row('POST /restart', { role: 'replica' }, 'leader', 503, /^restart conditions are not satisfied$/),
  row('POST /restart', { role: 'primary' }, 'replica', 503, /^restart conditions are not satisfied$/, '4.0'),
  row(
    'POST /restart',
    { postgres_version: '9.5.2' },
    'leader',
    503,
    /^restart conditions are not satisfied$/,
  ),
  row('POST /restart', { restart_pending: 'True' }, 'leader', 503, /^restart conditions are not satisfied$/),
  row('POST /restart', { schedule: FUTURE }, 'replica', 202, /^Restart scheduled$/),
  row('POST /restart', { schedule: FUTURE }, 'replica', 409, /^Another restart is already scheduled$/),
  row('DELETE /restart', undefined, 'replica', 200, /^scheduled restart deleted$/),
  row(
    'POST /restart',
    { schedule: 'Thu, 01 Jan 2037 00:00:00 +0000' },
    'replica',
    202,
    /^Restart scheduled$/,
  ),
  row('DELETE /restart', undefined, 'replica', 200, /^scheduled restart deleted$/),
  row(
    'POST /restart',
    { schedule: '23:30' },
    'replica',
    400,
    /^Timezone information is mandatory for the scheduled restart$/,
  ),
  row('DELETE /restart', undefined, 'replica', 404, /^no restarts are scheduled$/),
  row('DELETE /switchover', undefined, 'replica', 404, /^no switchover is scheduled$/),
  row('POST /switchover', undefined, 'leader', 411),
  row('POST /switchover', {}, 'leader', 400),
  row(
    'POST /switchover',
    { candidate: 'x' },
    'leader',
    400,
    /^Switchover could be performed only from a specific leader$/,
  ),
  row('POST /switchover', { leader: 'x' }, 'leader', 412, /^leader name does not match$/),
  row('POST /switchover', { leader: 'x', scheduled_at: PAST }, 'leader', 422, /in the past$/),
  row('POST /switchover', { leader: 'x', scheduled_at: 'soon' }, 'leader', 422, PARSE),
  row(
    'POST /switchover',
    { leader: 'x', scheduled_at: '2037-01-01T00:00' },
    'leader',
    400,
    /^Timezone information is mandatory for the scheduled switchover$/,
  ),
  row('POST /switchover', { leader: 'x', scheduled_at: '20370101T000000Z' }, 'leader', 202, /scheduled$/),
  row('DELETE /switchover', undefined, 'leader', 200, /^scheduled switchover deleted$/),
  row('POST /switchover', { leader: 'x', scheduled_at: FUTURE }, 'leader', 202, /^Switchover scheduled$/),
  row('DELETE /switchover', undefined, 'leader', 200, /^scheduled switchover deleted$/),
  row(
    'POST /switchover',
    { leader: 'LEADER', candidate: 'LEADER' },
    'leader',
    400,
    /^Switchover target and source are the same$/,
    '4.0',
  ),
  row(
    'POST /failover',
    { nonsense: 'x' },
    'leader',
    400,
    /^Failover could be performed only to a specific candidate$/,
  ),
  row(
    'POST /failover',
    { leader: 'LEADER' },
    'leader',
    400,
    /^Failover could be performed only to a specific candidate$/,
  ),
  row('POST /failover', { candidate: 'x' }, 'leader', 412, /^candidate does not exists$/),
  row(
    'POST /failover',
    { candidate: 'x', scheduled_at: FUTURE },
    'leader',
    400,
    /^(Failover can't be scheduled|Scheduled failover is possible only from a specific leader)$/,
  ),
  row('POST /failsafe', { name: 'x' }, 'leader', 502),
  row('POST /failsafe', { name: 'x' }, 'replica', 502),
  row('POST /reinitialize', undefined, 'leader', 503, /^I am the leader, can not reinitialize$/),
  row('POST /reinitialize', { force: 'True' }, 'leader', 503, /^I am the leader, can not reinitialize$/),
  row('POST /reload', undefined, 'replica', 202, /^reload scheduled$/),
  row('POST /citus', undefined, 'leader', 411),
  row('POST /citus', { type: 'x' }, 'leader', 200, /^OK$/),
  row('POST /mpp', { type: 'x' }, 'leader', 200, /^OK$/, '4.0'),
  row('POST /sigterm', undefined, 'replica', 202, /^shutdown scheduled$/),
]

function row(call: string, body: unknown, to: Row['to'], code: number, says?: RegExp, since?: string): Row {
  return {
    call,
    body,
    to,
    code,
    ...(says === undefined ? {} : { says }),
    ...(since === undefined ? {} : { since }),
  }
}

interface CallAnswer {
  readonly code: number
  /** The status line and the headers. */
  readonly head: string
  readonly type: string
  readonly body: string
}

/** Sends a body as it is, with its length, or neither. */
export async function callRest(member: Member, call: string, body: unknown): Promise<CallAnswer> {
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const length = text === undefined ? '' : `Content-Length: ${Buffer.byteLength(text)}\r\n`
  const request = `${call} HTTP/1.0\r\n${length}\r\n${text ?? ''}`
  const bytes = await rawExchange(member.host.address, member.config.restPort, request, 60_000)
  const end = bytes.indexOf('\r\n\r\n')
  const head = bytes.slice(0, end + 2)
  return {
    code: Number(head.split(' ', 2)[1]),
    head,
    type: /^content-type: (.*?)\r$/im.exec(head)?.[1] ?? '',
    body: bytes.slice(end + 4),
  }
}

/** Declares one test for each row, then those of what the calls do. The cluster has a leader and a replica. */
export function testRestActions(cluster: Cluster, keeper: 'pgherd' | 'patroni'): void {
  const called = keeper === 'pgherd' ? 'pgherd' : 'Patroni 3.0.2'
  // No row changes who leads: it is asked once.
  let known: Promise<{ readonly leader: Member; readonly replica: Member }> | undefined
  const sides = () => {
    known ??= findSides(cluster)
    return known
  }
  for (const { call, body, to, code, says, since } of actionRows) {
    if (since !== undefined && keeper === 'patroni') continue
    const shown = body === undefined ? 'without a body' : `with ${JSON.stringify(body)}`
    const when = since === undefined ? '' : ` (since ${since})`
    const told = says === undefined ? '' : ` ${says.source}`
    test(`${called}: ${call} ${shown} to the ${to} is ${code}${told}${when}`, async () => {
      const { [to]: member, leader } = await sides()
      const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
      const answer = await callRest(member, call, text?.replaceAll('LEADER', leader.name))
      assert.equal(answer.code, code, answer.body)
      if (says === undefined) assert.match(answer.type, /^text\/html;charset=utf-8$/)
      else {
        assert.match(answer.body, says)
        assert.equal(answer.type, 'text/html')
      }
    })
  }
  testConfigCalls(cluster, called)
  testSchedules(cluster, called)
  testRestarts(cluster, called)
}

async function findSides(cluster: Cluster): Promise<{ readonly leader: Member; readonly replica: Member }> {
  const leader = await cluster.leader()
  const [replica] = await cluster.replicas()
  assert.ok(replica)
  return { leader, replica }
}

function testConfigCalls(cluster: Cluster, called: string): void {
  const patch = async (body: unknown) => {
    const answer = await callRest(await cluster.leader(), 'PATCH /config', body)
    assert.equal(answer.code, 200, answer.body)
    return JSON.parse(answer.body) as Readonly<Record<string, unknown>>
  }

  test(`${called}: PATCH /config merges, keeps what has the same text, and null removes`, async () => {
    const before = JSON.parse((await (await cluster.leader()).rest('/config')).body)
    const lag = before.maximum_lag_on_failover
    const added = await patch({ maximum_lag_on_failover: String(lag), own: { a: 1, b: { c: [1, 2] } } })
    assert.deepEqual(added, { ...before, own: { a: 1, b: { c: [1, 2] } } })
    const merged = await patch({ own: { a: '1', b: { c: [3] }, d: true } })
    assert.deepEqual(merged['own'], { a: 1, b: { c: [3] }, d: true })
    assert.deepEqual((await patch({ own: { d: 'True', b: null } }))['own'], { a: 1, d: true })
    assert.deepEqual(await patch({ own: null, nothing: null }), before)
    await untilConfig(cluster, before)
  })

  test(`${called}: PUT /config replaces the whole and echoes it`, async () => {
    const leader = await cluster.leader()
    const before = JSON.parse((await leader.rest('/config')).body)
    const answer = await callRest(leader, 'PUT /config', { ...before, own: 'x' })
    assert.deepEqual([answer.code, JSON.parse(answer.body)], [200, { ...before, own: 'x' }])
    assert.equal((await callRest(leader, 'PUT /config', before)).code, 200)
    await untilConfig(cluster, before)
  })

  test(`${called}: while paused nothing is scheduled, and a switchover needs a candidate`, async () => {
    const leader = await cluster.leader()
    await patch({ pause: true })
    try {
      await untilPaused(cluster, true)
      const restart = await callRest(leader, 'POST /restart', { schedule: FUTURE })
      assert.deepEqual([restart.code, restart.body], [500, "Can't schedule restart in the paused state"])
      const later = { leader: leader.name, scheduled_at: FUTURE }
      const scheduled = await callRest(leader, 'POST /switchover', later)
      assert.deepEqual(
        [scheduled.code, scheduled.body],
        [400, "Can't schedule switchover in the paused state"],
      )
      const open = await callRest(leader, 'POST /switchover', { leader: leader.name })
      assert.deepEqual(
        [open.code, open.body],
        [400, 'Switchover is possible only to a specific candidate in a paused state'],
      )
    } finally {
      await patch({ pause: null })
    }
    await untilPaused(cluster, false)
  })
}

/** Each member learns of a pause by itself, and the next test may ask any of them. */
function untilPaused(cluster: Cluster, wanted: boolean): Promise<unknown> {
  const what = `every member to know ${wanted ? 'of' : 'the end of'} the pause`
  return waitFor(what, { withinMs: 20_000 }, async note => {
    const states = await Promise.all(cluster.members.map(member => member.status()))
    const isPaused = states.map(status => status['pause'] === true)
    note(isPaused.join(', '))
    return isPaused.every(is => is === wanted)
  })
}

/** The real one answers from its last turn, and each member has turns of its own. */
function untilConfig(cluster: Cluster, wanted: unknown): Promise<unknown> {
  return waitFor('the configuration as it was', { withinMs: 20_000 }, async () => {
    const answers = await Promise.all(cluster.members.map(member => member.rest('/config')))
    return answers.every(({ body }) => isDeepStrictEqual(JSON.parse(body), wanted))
  })
}

/** Another member knows of a changed key when its own watch has told it. */
function untilScheduled(member: Member, wanted: unknown): Promise<unknown> {
  return waitFor(`the switchover in /cluster of ${member.name}`, { withinMs: 10_000 }, async () => {
    const told = JSON.parse((await member.rest('/cluster')).body)
    return isDeepStrictEqual(told.scheduled_switchover, wanted)
  })
}

function testSchedules(cluster: Cluster, called: string): void {
  test(`${called}: a scheduled restart is told by the member, by /cluster and taken back`, async () => {
    const [replica] = await cluster.replicas()
    assert.ok(replica)
    const body = { schedule: FUTURE, postgres_version: '99.9', restart_pending: true }
    assert.equal((await callRest(replica, 'POST /restart', body)).code, 202)
    const scheduled = (await replica.status())['scheduled_restart'] as Readonly<Record<string, unknown>>
    assert.equal(scheduled['schedule'], FUTURE)
    assert.equal(scheduled['postgres_version'], '99.9')
    assert.equal(scheduled['restart_pending'], true)
    assert.equal('postmaster_start_time' in scheduled, false)
    await waitFor('the schedule in /cluster', { withinMs: 10_000 }, async () => {
      const { members } = JSON.parse((await replica.rest('/cluster')).body)
      const found = members.find((member: { name: string }) => member.name === replica.name)
      return found.scheduled_restart?.schedule === FUTURE
    })
    assert.equal((await callRest(replica, 'DELETE /restart', undefined)).code, 200)
    assert.equal('scheduled_restart' in (await replica.status()), false)
  })

  test(`${called}: a scheduled switchover is told by /cluster and taken back by any member`, async () => {
    const leader = await cluster.leader()
    const [replica] = await cluster.replicas()
    assert.ok(replica)
    const body = { leader: leader.name, candidate: replica.name, scheduled_at: FUTURE }
    const answer = await callRest(leader, 'POST /switchover', body)
    assert.deepEqual([answer.code, answer.body], [202, 'Switchover scheduled'])
    await untilScheduled(replica, { at: FUTURE, from: leader.name, to: replica.name })
    const dropped = await callRest(replica, 'DELETE /switchover', undefined)
    assert.deepEqual([dropped.code, dropped.body], [200, 'scheduled switchover deleted'])
    await untilScheduled(leader, undefined)
  })
}

function testRestarts(cluster: Cluster, called: string): void {
  const startOf = async (member: Member) => (await member.status())['postmaster_start_time']

  test(`${called}: a changed parameter is pending until POST /restart, on the replica and on the leader`, async () => {
    const leader = await cluster.leader()
    const [replica] = await cluster.replicas()
    assert.ok(replica)
    const { timeline } = await leader.status()
    const parameters = { max_connections: 210, work_mem: '5MB' }
    assert.equal((await callRest(leader, 'PATCH /config', { postgresql: { parameters } })).code, 200)
    for (const member of [replica, leader]) {
      await waitFor(`a restart of ${member.name} to be pending`, { withinMs: 15_000 }, async () => {
        return (await member.status())['pending_restart'] === true
      })
      // The real one tells that a restart is pending before it has its server read the files.
      await waitFor(`work_mem of ${member.name}`, { withinMs: 15_000 }, async () => {
        return isDeepStrictEqual(await member.query('SHOW work_mem'), [{ work_mem: '5MB' }])
      })
      assert.deepEqual(await member.query('SHOW max_connections'), [{ max_connections: '200' }])
    }
    // The member with the larger value first, or the standby would not start.
    for (const member of [replica, leader]) {
      const before = await startOf(member)
      const answer = await callRest(member, 'POST /restart', { restart_pending: true })
      assert.deepEqual([answer.code, answer.body], [200, 'restarted successfully'])
      await waitFor(`${member.name} to run again`, { withinMs: 15_000 }, async () => {
        const status = await member.status()
        return status.state === 'running' && status['pending_restart'] === undefined
      })
      assert.notEqual(await startOf(member), before)
      assert.deepEqual(await member.query('SHOW max_connections'), [{ max_connections: '210' }])
    }
    assert.equal((await cluster.leader()).name, leader.name)
    assert.equal((await leader.status()).timeline, timeline)
  })

  test(`${called}: POST /reinitialize copies the leader afresh into a replica`, async () => {
    await cluster.complete()
    const [replica] = await cluster.replicas()
    assert.ok(replica)
    const before = await startOf(replica)
    const answer = await callRest(replica, 'POST /reinitialize', undefined)
    assert.deepEqual([answer.code, answer.body], [200, 'reinitialize started'])
    await waitFor('another server to run', { withinMs: 60_000 }, async () => {
      const status = await replica.status()
      return status.state === 'running' && status['postmaster_start_time'] !== before
    })
    await cluster.complete()
  })
}
