// Orders for one member on real servers: restart now and later, reload, reinitialize; and what stays as it was meanwhile.

import assert from 'node:assert/strict'
import { chown } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startCluster } from '../support/fixture.ts'
import { callRest } from '../support/rest-actions.ts'
import { runProgram } from '../support/run-program.ts'

const { cluster, work } = await startCluster({ after }, { etcd: 1, members: 2, proxies: 1 })
const leader = await cluster.leader()
const [replica] = await cluster.replicas()
assert.ok(replica)

const leaderTerm = async (): Promise<string> => {
  const text = await cluster.etcd.ctl(['get', '-w', 'json', `/service/${cluster.scope}/leader`])
  return JSON.parse(text).kvs[0].create_revision
}
const startOf = async (member: typeof leader) => (await member.status())['postmaster_start_time']

test('a restart of the leader keeps its key and its timeline', async t => {
  const before = await leaderTerm()
  const { timeline } = await leader.status()
  const beganMs = performance.now()
  const answer = await callRest(leader, 'POST /restart', {})
  t.diagnostic(`restarted in ${Math.round(performance.now() - beganMs)} ms`)
  assert.deepEqual([answer.code, answer.body], [200, 'restarted successfully'])
  assert.equal(await leaderTerm(), before)
  await waitFor(
    'the server to be seen',
    { withinMs: 10_000 },
    async () => (await leader.status()).state === 'running',
  )
  assert.equal((await leader.status()).timeline, timeline)
  await cluster.complete()
})

test('a second order while one is under way is refused by its name', async () => {
  const orders = await Promise.all([1, 2].map(() => callRest(replica, 'POST /restart', {})))
  const answers = orders.map(({ code, body }) => `${code} ${body}`).sort()
  assert.deepEqual(answers, ['200 restarted successfully', '503 restart already in progress'])
  await cluster.complete()
})

test('a scheduled restart happens at its time and is forgotten', async () => {
  const before = await startOf(replica)
  const schedule = new Date(Date.now() + 3_000).toISOString()
  assert.equal((await callRest(replica, 'POST /restart', { schedule })).code, 202)
  assert.equal(await startOf(replica), before)
  await waitFor('the restart', { withinMs: 20_000 }, async () => {
    const status = await replica.status()
    return status.state === 'running' && status['postmaster_start_time'] !== before
  })
  assert.equal((await replica.status())['scheduled_restart'], undefined)
  await cluster.complete()
})

test('a restart by hand makes a scheduled one void', async () => {
  const schedule = new Date(Date.now() + 60_000).toISOString()
  assert.equal((await callRest(replica, 'POST /restart', { schedule })).code, 202)
  assert.equal((await callRest(replica, 'POST /restart', {})).code, 200)
  await waitFor('the schedule to be gone', { withinMs: 10_000 }, async () => {
    return (await replica.status())['scheduled_restart'] === undefined
  })
  assert.equal((await callRest(replica, 'DELETE /restart', undefined)).code, 404)
  await cluster.complete()
})

test('pending settings are told with old and new value, in the key and in /patroni, and vanish when they are taken back', async () => {
  const parameters = { max_connections: 222, shared_buffers: '40MB' }
  await callRest(leader, 'PATCH /config', { postgresql: { parameters } })
  const reason = {
    max_connections: { old_value: '200', new_value: '222' },
    shared_buffers: { old_value: '32MB', new_value: '40MB' },
  }
  await waitFor('the reasons', { withinMs: 15_000 }, async note => {
    const told = (await leader.status())['pending_restart_reason']
    note(JSON.stringify(told))
    return JSON.stringify(told) === JSON.stringify(reason)
  })
  const listed = await runProgram([...work.program, 'ctl', '-c', leader.configFile, 'list'])
  assert.match(listed.stdout, /\| \* +\| max_connections: 200->222 +\|/)
  assert.match(listed.stdout, /shared_buffers: 32MB->40MB/)
  const undo = { max_connections: 200, shared_buffers: '32MB' }
  await callRest(leader, 'PATCH /config', { postgresql: { parameters: undo } })
  await waitFor('nothing to be pending', { withinMs: 15_000 }, async () => {
    return (await leader.status())['pending_restart'] === undefined
  })
})

test('a setting that somebody made by hand is pending, too', async () => {
  await leader.query('ALTER SYSTEM SET max_files_per_process = 1200')
  await leader.query('SELECT pg_reload_conf()')
  await waitFor('the reason', { withinMs: 15_000 }, async () => {
    const told = (await leader.status())['pending_restart_reason'] as
      | Readonly<Record<string, unknown>>
      | undefined
    return JSON.stringify(told?.['max_files_per_process']) === '{"old_value":"1000","new_value":"1200"}'
  })
  await leader.query('ALTER SYSTEM RESET max_files_per_process')
  await leader.query('SELECT pg_reload_conf()')
  await waitFor('nothing to be pending', { withinMs: 15_000 }, async () => {
    return (await leader.status())['pending_restart'] === undefined
  })
})

test('a reload takes tags, accounts and parameters of the file; what cannot change is told; SIGHUP does the same', async () => {
  await replica.configure({
    tags: { zone: 'b', noloadbalance: true },
    restapi: { authentication: { username: 'op', password: 'secret' } },
    postgresql: { parameters: { work_mem: '9MB' }, data_dir: '/nonexistent' },
  })
  assert.equal((await callRest(replica, 'POST /reload', undefined)).code, 202)
  await waitFor('the new tags', { withinMs: 10_000 }, async () => {
    const tags = (await replica.status())['tags'] as Readonly<Record<string, unknown>>
    return tags['zone'] === 'b'
  })
  assert.equal((await replica.rest('/replica')).code, 503)
  assert.equal((await callRest(replica, 'POST /reload', undefined)).code, 401)
  await waitFor('the parameter', { withinMs: 10_000 }, async () => {
    const [row] = await replica.query<{ work_mem: string }>('SHOW work_mem')
    return row?.work_mem === '9MB'
  })
  await waitFor('the tag in etcd', { withinMs: 10_000 }, async () => {
    const { members } = JSON.parse((await leader.rest('/cluster')).body)
    return members.find((member: { name: string }) => member.name === replica.name).tags?.zone === 'b'
  })
  await replica.configure()
  const pid = replica.agent.pid
  assert.ok(pid !== undefined)
  process.kill(pid, 'SIGHUP')
  await waitFor(
    'the old rules',
    { withinMs: 10_000 },
    async () => (await replica.rest('/replica')).code === 200,
  )
  assert.equal((await callRest(replica, 'POST /reload', undefined)).code, 202)
})

test('with required client certificates and an account, ctl reaches a member that was reloaded to TLS', async () => {
  const certificates = await makeCertificates(path.join(work.data, 'certificates'))
  const server = await certificates.issue('server', replica.host.address)
  const client = await certificates.issue('client')
  const account = { username: 'op', password: 'secret' }
  await replica.configure({
    restapi: {
      certfile: server.cert,
      keyfile: server.key,
      cafile: certificates.ca,
      verify_client: 'required',
      authentication: account,
    },
    ctl: { certfile: client.cert, keyfile: client.key, cacert: certificates.ca },
  })
  // The agent's own user must be able to read the keys.
  const { uid, gid } = replica.host.account
  for (const file of [server.key, client.key, server.cert, client.cert, certificates.ca])
    await chown(file, uid, gid)
  assert.equal((await callRest(replica, 'POST /reload', undefined)).code, 202)
  await waitFor('the https address in etcd', { withinMs: 10_000 }, async () => {
    const { members } = JSON.parse((await leader.rest('/cluster')).body)
    const found = members.find((member: { name: string }) => member.name === replica.name)
    return found.api_url === `https://${replica.restAddress}/patroni`
  })
  const run = (...more: readonly string[]) =>
    runProgram([...work.program, 'ctl', '-c', replica.configFile, ...more])
  const reloaded = await run('reload', cluster.scope, replica.name, '--force')
  assert.match(reloaded.stdout, /Reload request received for member/, reloaded.stderr)
  const versions = await run('version', cluster.scope, replica.name)
  assert.match(versions.stdout, /^pg\d: Patroni \S+ PostgreSQL 15/m)
  const refused = await run('restart', cluster.scope, replica.name, '--pending', '--force')
  assert.match(refused.stdout, /status code=503, \(restart conditions are not satisfied\)/)
  await replica.configure()
  process.kill(replica.agent.pid, 'SIGHUP')
  await waitFor(
    'clear text again',
    { withinMs: 10_000 },
    async () => (await replica.rest('/patroni')).code === 200,
  )
  await cluster.complete()
})

test('a file with a mistake changes nothing', async () => {
  await replica.configure({ restapi: { listen: 'nowhere' }, tags: { zone: 'c' } })
  const pid = replica.agent.pid
  assert.ok(pid !== undefined)
  process.kill(pid, 'SIGHUP')
  await new Promise(resolve => setTimeout(resolve, 500))
  const tags = (await replica.status())['tags'] as Readonly<Record<string, unknown>> | undefined
  assert.notEqual(tags?.['zone'], 'c')
  await replica.configure()
  process.kill(pid, 'SIGHUP')
})

test('reinitialize throws away what only this copy has, and comes back streaming', async () => {
  await leader.query('CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS one')
  const before = await startOf(replica)
  const answer = await callRest(replica, 'POST /reinitialize', { force: true })
  assert.deepEqual([answer.code, answer.body], [200, 'reinitialize started'])
  await waitFor('another server to run', { withinMs: 60_000 }, async () => {
    const status = await replica.status()
    return status.state === 'running' && status['postmaster_start_time'] !== before
  })
  await cluster.complete()
  assert.deepEqual(await replica.query('SELECT one FROM kept'), [{ one: 1 }])
})

test('a copy is not thrown away while the leader does not answer', async () => {
  const before = await startOf(replica)
  await leader.agent.freeze()
  try {
    const answer = await callRest(replica, 'POST /reinitialize', undefined)
    assert.equal(answer.code, 503)
    assert.match(answer.body, /does not answer as a primary, can not reinitialize$|Cluster has no leader/)
  } finally {
    await leader.agent.thaw()
  }
  assert.equal(await startOf(replica), before)
  await cluster.leader()
  await cluster.complete()
})

test('while paused a restart is carried out at once, keeps key and timeline, and none can be scheduled', async () => {
  const ctl = (...more: readonly string[]) =>
    runProgram([...work.program, 'ctl', '-c', leader.configFile, ...more])
  const paused = await ctl('pause', '--wait')
  assert.match(paused.stdout, /Success: cluster management is paused\n$/, paused.stderr)
  try {
    const term = await leaderTerm()
    const { timeline } = await leader.status()
    for (const member of [replica, leader]) {
      const answer = await callRest(member, 'POST /restart', {})
      assert.deepEqual([answer.code, answer.body], [200, 'restarted successfully'])
    }
    await waitFor('the leader to be seen', { withinMs: 10_000 }, async () => {
      const status = await leader.status()
      return status.state === 'running' && status.role === 'primary'
    })
    assert.deepEqual([await leaderTerm(), (await leader.status()).timeline], [term, timeline])
    const scheduled = await ctl('restart', cluster.scope, '--force', '--scheduled', '2037-01-01T10:00+00:00')
    assert.deepEqual(
      [scheduled.code, scheduled.stderr],
      [1, "Error: Can't schedule restart in the paused state\n"],
    )
  } finally {
    await ctl('resume', '--wait')
  }
  await cluster.complete()
})

test('events tell who changed what, in one order with those of the proxy; explain says who would take over', async () => {
  const ctl = [...work.program, 'ctl', '-c', leader.configFile]
  const told = await runProgram([...ctl, 'events', '-n', '200', '-f', 'json'])
  const events = JSON.parse(told.stdout) as readonly {
    readonly kind: string
    readonly says: string
    readonly time: string
  }[]
  const audits = events.filter(({ kind }) => kind === 'api-action').map(({ says }) => says)
  assert.ok(
    audits.some(says => /^POST \/restart from \S+: 200 restarted successfully$/.test(says)),
    told.stdout,
  )
  assert.ok(audits.some(says => /^POST \/reload from \S+: 401 no auth header received$/.test(says)))
  const times = events.map(({ time }) => time)
  assert.deepEqual(times, [...times].sort())
  const explained = await runProgram([...ctl, 'explain'])
  assert.match(explained.stdout, /If pg\d died now: pg\d would lead in at most about 6 s, /)
  assert.match(
    explained.stdout,
    /^pg\d: primary, running; no action\. I am \(pg\d\), the leader with the lock$/m,
  )
})

test('a scheduled switchover waits for its time, is carried out then, and is forgotten', async t => {
  const request = () => cluster.etcd.ctl(['get', '--print-value-only', `/service/${cluster.scope}/failover`])
  const dueMs = Date.now() + 6_000
  const scheduled = { scheduled_at: new Date(dueMs).toISOString() }
  const order = { leader: leader.name, candidate: replica.name, ...scheduled }
  const answer = await callRest(leader, 'POST /switchover', order)
  assert.equal(answer.code, 202, answer.body)
  await waitFor('the time to come', { withinMs: 10_000, everyMs: 50 }, async () => {
    const status = await leader.status()
    const isWaiting = Date.now() < dueMs - 100
    if (isWaiting) assert.equal(status.role, 'primary', 'it leads until then')
    return !isWaiting
  })
  assert.equal(await cluster.leader({ not: [leader], withinMs: 60_000 }), replica)
  t.diagnostic(`the candidate led ${Date.now() - dueMs} ms after the time that was set`)
  assert.equal((await request()).trim(), '{}')
  await cluster.complete()
})

test('top without a terminal prints one frame: members, the proxy with its sessions, the last events', async () => {
  const { stdout, code } = await runProgram([...work.program, 'ctl', '-c', leader.configFile, 'top'])
  assert.equal(code, 0)
  assert.match(stdout, /pgsql: pg\d leads\n/)
  assert.match(stdout, /\| \S+ +\| write \S+ +\| leader +\| pg\d +\| +0 \| +0 \|/)
  assert.match(stdout, /Last events\n/)
  assert.equal(stdout.includes(String.fromCharCode(27)), false)
})
