// What `ctl proxy sessions`, `pools`, `evidence` and `explain` make of the proxies' own documents.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { RestAnswer } from '../../../src/ctl/context.ts'
import {
  type ProxyChoice,
  proxyEvidence,
  proxyExplain,
  proxyPools,
  proxySessions,
} from '../../../src/ctl/proxy-looks.ts'
import { type Called, ctlScene } from '../../support/ctl-scene.ts'

const everyone: ProxyChoice = { cluster: undefined, proxy: undefined, at: undefined }
const registered = {
  'pgherd/proxies/p1-7': '{"name":"p1","admin":"10.0.1.1:7000"}',
  'pgherd/proxies/p2-8': '{"name":"p2","admin":"*:7000"}',
}
const member = (name: string, more: object) => ({
  name,
  role: 'replica',
  server_role: 'replica',
  state: 'running',
  silence: null,
  probe_age_ms: 240,
  leads_left_ms: null,
  ping: null,
  lag: { bytes: 2048, ms: 130 },
  refusals: 0,
  avoid_left_ms: null,
  sessions: 3,
  ...more,
})
const status = {
  epoch: { cluster_id: '1', create_revision: 9, member: 'pg1' },
  has_leader_key: true,
  lease_left_ms: 24_040,
  write: { member: 'pg1', takes_new: true, evidence_left_ms: 24_040 },
  store: { kind: 'etcd', silent_ms: null },
  waiting_because: null,
  pools: [
    { listener: 'write', pool: 'leader', members: ['pg1'], balance: null, fallback: null },
    {
      listener: 'read',
      pool: 'replica',
      balance: 'roundrobin',
      fallback: 'leader',
      members: ['pg2'],
      why: { pg1: 'holds the leader key', pg2: 'takes sessions', pg3: 'does not answer: timeout' },
    },
  ],
  members: [
    member('pg1', { role: 'leader', server_role: 'primary', leads_left_ms: 980, lag: null }),
    member('pg2', { ping: { answer: 'accepting', age_ms: 1200 } }),
    member('pg3', { role: 'none', silence: 'timeout', refusals: 2, avoid_left_ms: 700 }),
  ],
}
const session = {
  id: 17,
  listener: 'write',
  source: '10.9.9.9:40000',
  state: 'streaming',
  server: 'pg1',
  is_idle: true,
  is_fallback: false,
  to_server_bytes: 100,
  to_client_bytes: 2000,
  quiet_ms: 65_040,
}

/** p1 answers as told, p2 not at all. */
async function scene(answer: (call: Called) => RestAnswer) {
  return ctlScene(
    [],
    call => {
      if (call.url.includes('p2:7000')) throw new Error('no route to p2')
      return answer(call)
    },
    registered,
  )
}
const json = (value: unknown): RestAnswer => ({ code: 200, text: JSON.stringify(value) })

test('evidence tells for each server how long each piece of it counts, and a silent proxy is named', async () => {
  const { context, terminal, calls, refusals } = await scene(() => json(status))
  await proxyEvidence(context, everyone, 'tsv')
  const [heading = '', ...lines] = terminal.printed.trimEnd().split('\n')
  const rows = lines.map(line => {
    const cells = line.split('\t')
    return Object.fromEntries(heading.split('\t').map((title, index) => [title, cells[index]]))
  })
  assert.deepEqual(
    rows.map(row => [row['Server'], row['Leads for s'], row['Lease s'], row['Route s'], row['Avoided s']]),
    [
      ['pg1', '1', '24', '24', ''],
      ['pg2', '', '', '', ''],
      ['pg3', '', '', '', '0.7'],
    ],
  )
  assert.deepEqual(
    rows.map(row => [row['It says'], row['Ping'], row['Lag'], row['Refusals']]),
    [
      ['primary, running', '', '', '0'],
      ['replica, running', 'accepting 1.2 s ago', '2048 bytes, 0.1 s', '0'],
      ['silent: timeout', '', '2048 bytes, 0.1 s', '2'],
    ],
  )
  assert.deepEqual([...new Set(calls.map(({ endpoint }) => endpoint))], ['status'])
  assert.match(terminal.warned, /^p2 does not answer at p2:7000: no route to p2\n$/)
  assert.equal(refusals(), 1)
})

test('pools tell for each server whether it takes new sessions, and why', async () => {
  const { context, terminal } = await scene(() => json(status))
  await proxyPools(context, { ...everyone, proxy: 'p1' }, 'pretty')
  assert.match(terminal.printed, /\| p1 +\| write +\| leader +\| +\| pg1 +\| yes +\| leads +\|/)
  assert.match(
    terminal.printed,
    /\| p1 +\| read +\| replica \| roundrobin \| pg3 +\| no +\| does not answer: timeout \|/,
  )
  assert.equal(terminal.warned, '')
})

test('a leader’s pool without a server says what new sessions wait for', async () => {
  const { context, terminal } = await scene(() =>
    json({
      ...status,
      write: null,
      waiting_because: 'nobody leads',
      pools: [{ listener: 'write', pool: 'leader', members: [] }],
    }),
  )
  await proxyPools(context, { ...everyone, proxy: 'p1' }, 'json')
  assert.deepEqual(JSON.parse(terminal.printed), [
    {
      kind: 'pool',
      proxy: 'p1',
      listener: 'write',
      pool: 'leader',
      takes_new: false,
      why: 'nobody leads',
    },
  ])
})

test('sessions are listed with their client and server, and those that are left out are counted', async () => {
  const { context, terminal, calls } = await scene(() => json({ sessions: [session], left_out: 12 }))
  await proxySessions(context, { ...everyone, proxy: 'p1' }, 'pretty')
  assert.match(
    terminal.printed,
    /\| p1 +\| 17 \| write +\| 10\.9\.9\.9:40000 \| pg1 +\| streaming \| +65 \| +100 \| +2000 \|/,
  )
  assert.equal(terminal.warned, 'p1 has 12 more sessions\n')
  assert.equal(calls[0]?.endpoint, 'sessions')
})

test('explain prints every line of each proxy; a name that none knows is one error with the names there are', async () => {
  const { context, terminal, calls } = await scene(({ endpoint }) =>
    endpoint === 'explain/pg1'
      ? { code: 200, text: 'pg1 at 10.0.0.1:5432: leader\nwrites: lease: good for 24.0 s\n' }
      : { code: 404, text: 'no server has the name pg9: there is pg1, pg2\n' },
  )
  await proxyExplain(context, 'pg1', { ...everyone, proxy: 'p1' }, 'pretty')
  assert.equal(terminal.printed, 'p1: pg1 at 10.0.0.1:5432: leader\np1: writes: lease: good for 24.0 s\n')
  await assert.rejects(
    proxyExplain(context, 'pg9', { ...everyone, proxy: 'p1' }, 'pretty'),
    /^UserError: no server has the name pg9: there is pg1, pg2$/,
  )
  assert.deepEqual(
    calls.map(({ endpoint }) => endpoint),
    ['explain/pg1', 'explain/pg9'],
  )
})

test('a proxy that is not registered is asked at its address, and the store is left alone', async () => {
  const { context, terminal, calls } = await ctlScene([], () => json(status))
  const openDcs = () => assert.fail('the store was asked')
  await proxyEvidence({ ...context, openDcs }, { ...everyone, at: '10.0.1.7:7000' }, 'yaml')
  assert.deepEqual(
    calls.map(({ url }) => url),
    ['http://10.0.1.7:7000/'],
  )
  assert.match(terminal.printed, /^- answers_left_s: 1$/m)
})

test('no registered proxy, and a name that none has, are one line each', async () => {
  const { context } = await ctlScene([])
  await assert.rejects(proxyPools(context, everyone, 'pretty'), /no proxy is registered for main: .*--at/)
  const { context: other } = await scene(() => json(status))
  await assert.rejects(
    proxyPools(other, { ...everyone, proxy: 'p9' }, 'pretty'),
    /no proxy of main has the name p9: there is p1, p2/,
  )
})
