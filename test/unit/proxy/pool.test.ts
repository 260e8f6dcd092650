import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { defaultFilter, defaultListener } from '../../../src/config/proxy/defaults.ts'
import type { ListenerConfig, MemberFilter } from '../../../src/config/proxy/types.ts'
import type { MemberHealth } from '../../../src/health/verdict.ts'
import { createPool } from '../../../src/proxy/pool.ts'
import {
  type PoolEvidence,
  type PoolServer,
  type PoolSpec,
  poolMembers,
} from '../../../src/proxy/pool-members.ts'
import { type Evidence, emptyTable, type Ping, route, wantsPing } from '../../../src/proxy/route.ts'
import {
  answered,
  evidenceOf,
  healthAfter,
  led,
  membersNamed,
  placed,
  readPool,
  replica,
  silent,
} from './facts.ts'
import { ledByPg1 } from './world.ts'

const seeker = { tried: new Set<string>(), source: '10.0.0.1' }

function listenerOf(changes: Partial<ListenerConfig> = {}): ListenerConfig {
  return { ...defaultListener, name: 'read', binds: [], pool: 'replica', ...changes }
}

test('asking for room does not move the turn', async t => {
  const world = await ledByPg1()
  t.after(() => world.close())
  const pool = createPool(listenerOf(), world.router, world.clock)
  const chosen: string[] = []
  for (let turn = 0; turn < 4; turn += 1) {
    for (let asked = 0; asked < 3; asked += 1) assert.equal(pool.hasRoom(), true)
    const choice = pool.choose(seeker)
    if (choice.kind === 'backend') chosen.push(choice.backend.name)
  }
  assert.deepEqual(chosen, ['pg2', 'pg3', 'pg2', 'pg3'])
})

test('an empty pool falls back to the leader, or to nobody if the file says so', async t => {
  const world = await ledByPg1()
  t.after(() => world.close())
  for (const name of ['pg2', 'pg3']) Object.assign(world.scripts.get(name) ?? {}, { state: 'stopped' })
  await world.clock.advance(1500)
  const choose = (fallback: 'leader' | 'none') =>
    createPool(listenerOf({ fallback }), world.router, world.clock).choose(seeker)
  const choice = choose('leader')
  assert.deepEqual(
    [choice.kind === 'backend' && choice.backend.name, choice.kind === 'backend' && choice.isFallback],
    ['pg1', true],
  )
  assert.equal(choose('none').kind, 'none')
  assert.match(
    world.router.explain({ name: 'read', fallback: 'none' }),
    /^no server takes sessions of read: pg1 holds the leader key; pg2 its server is stopped; pg3/,
  )
})

function server(name: string, changes: Partial<PoolServer> = {}): PoolServer {
  return {
    name,
    address: placed(name).address,
    isBackup: false,
    isDisabled: false,
    hasCheck: true,
    drainsOn404: false,
    takesLeader: false,
    keepsWhenDown: false,
    relievesBackups: false,
    ...changes,
  }
}

function spec(changes: Partial<PoolSpec> = {}): PoolSpec {
  return { ...readPool, ...changes }
}

function filter(changes: Partial<MemberFilter>): PoolSpec {
  return spec({ filter: { ...defaultFilter, ...changes } })
}

const follower = healthAfter(answered(replica))
const members = membersNamed('pg1', 'pg2', 'pg3')
const health = new Map([
  ['pg1', healthAfter(answered())],
  ['pg2', follower],
  [
    'pg3',
    healthAfter(answered({ ...replica, tags: { dc: 'east' }, replicationState: 'streaming', isSync: true })),
  ],
])

function evidence(changes: Partial<PoolEvidence> = {}): PoolEvidence {
  return {
    nowMs: 0,
    members,
    health,
    checks: undefined,
    leader: 'pg1',
    writer: 'pg1',
    sync: undefined,
    lags: new Map(),
    vouched: new Set(),
    previous: [],
    ...changes,
  }
}

const far = new Map([
  ['pg2', { bytes: 2000n, ms: 4000 }],
  ['pg3', { bytes: 10n, ms: 10 }],
])
const standbyLead = new Map([
  ...health,
  ['pg1', healthAfter(answered({ role: 'standby_leader', statusCode: 503 }))],
])
const upAndDown = new Map([
  ['a', healthAfter(answered())],
  ['b', healthAfter(silent(0))],
])

// what it is about, pool, evidence, members
const rows: readonly (readonly [string, PoolSpec, PoolEvidence, readonly string[]])[] = [
  ['replicas', spec(), evidence(), ['pg2', 'pg3']],
  ['any takes the leader, too', spec({ kind: 'any' }), evidence(), ['pg1', 'pg2', 'pg3']],
  [
    'any leaves a leader out that takes no sessions',
    spec({ kind: 'any' }),
    evidence({ writer: undefined }),
    ['pg2', 'pg3'],
  ],
  ['a tag', filter({ tags: { dc: 'east' } }), evidence(), ['pg3']],
  ['streaming only', filter({ streamingOnly: true }), evidence(), ['pg3']],
  ['those that confirm commits, by their own word', filter({ sync: 'sync' }), evidence(), ['pg3']],
  [
    'those that confirm commits, by the store',
    filter({ sync: 'sync' }),
    evidence({ sync: { leader: 'pg1', quorum: 1, standbys: ['PG2'] } }),
    ['pg2'],
  ],
  ['those that do not', filter({ sync: 'async' }), evidence(), ['pg2']],
  ['lag in bytes', filter({ lagBytesMax: 1000 }), evidence({ lags: far }), ['pg3']],
  ['lag in time', filter({ lagMsMax: 3000 }), evidence({ lags: far }), ['pg3']],
  [
    'lag below the limit stays',
    filter({ lagBytesMax: 3000 }),
    evidence({ lags: far, previous: ['pg2'] }),
    ['pg2', 'pg3'],
  ],
  [
    'lag that is not below half of it does not come back',
    filter({ lagBytesMax: 3000 }),
    evidence({ lags: far }),
    ['pg3'],
  ],
  ['the standby leader', spec({ kind: 'standby-leader' }), evidence({ health: standbyLead }), ['pg1']],
  [
    'reads go to the standby leader when no replica serves them',
    spec(),
    evidence({ health: new Map([...standbyLead].filter(([name]) => name === 'pg1')) }),
    ['pg1'],
  ],
  ['and not while one does', spec(), evidence({ health: standbyLead }), ['pg2', 'pg3']],
  [
    'nor where commits must have been confirmed',
    filter({ sync: 'sync' }),
    evidence({ health: new Map([...standbyLead].filter(([name]) => name === 'pg1')) }),
    [],
  ],
  ['no standby leader in a cluster with a primary', spec({ kind: 'standby-leader' }), evidence(), []],
  [
    'a backup only when nobody else is there',
    spec({ servers: [server('pg3', { isBackup: true })] }),
    evidence(),
    ['pg2'],
  ],
  [
    'servers of the file by their own checks',
    spec({ kind: 'servers', servers: [server('a'), server('b')] }),
    evidence({ checks: upAndDown }),
    ['a'],
  ],
  [
    'a server without a check counts as up',
    spec({ kind: 'servers', servers: [server('c', { hasCheck: false })] }),
    evidence(),
    ['c'],
  ],
  [
    'the first backup alone',
    spec({
      kind: 'servers',
      servers: [
        server('b'),
        server('c', { isBackup: true, hasCheck: false }),
        server('d', { isBackup: true, hasCheck: false }),
      ],
    }),
    evidence({ checks: upAndDown }),
    ['c'],
  ],
  [
    'all backups',
    spec({
      kind: 'servers',
      allBackups: true,
      servers: [
        server('c', { isBackup: true, hasCheck: false }),
        server('d', { isBackup: true, hasCheck: false }),
      ],
    }),
    evidence(),
    ['c', 'd'],
  ],
  [
    'a disabled server',
    spec({ kind: 'servers', servers: [server('a', { isDisabled: true })] }),
    evidence({ checks: upAndDown }),
    [],
  ],
]
for (const [name, pool, facts, want] of rows) {
  test(`a pool of reads: ${name}`, () => assert.deepEqual(poolMembers(pool, facts).takes, want))
}

const quiet = new Map<string, MemberHealth>([
  ...health,
  ['pg2', healthAfter(answered(replica), silent(500), silent(1000))],
])

test('a replica whose REST server alone is silent stays while its server answers pings, and does not come in that way', () => {
  const known = evidence({ health: quiet, vouched: new Set(['pg2']) })
  assert.deepEqual(poolMembers(spec(), { ...known, previous: ['pg2', 'pg3'] }).takes, ['pg2', 'pg3'])
  assert.deepEqual(poolMembers(spec(), known).takes, ['pg3'])
  assert.deepEqual(poolMembers(spec(), evidence({ health: quiet, previous: ['pg2', 'pg3'] })).takes, ['pg3'])
})

// answer to the ping, sent at, does the leader take new sessions
const pings: readonly (readonly [Ping['answer'] | undefined, number, boolean])[] = [
  [undefined, 0, false],
  ['accepting', 10, true],
  ['accepting', 4, false],
  ['rejecting', 10, false],
  ['silent', 10, false],
]
for (const [answer, sentAtMs, want] of pings) {
  test(`a leader whose server is ${answer ?? 'not asked yet'} (at ${sentAtMs}, epoch seen at 5) ${want ? 'takes' : 'takes no'} new sessions`, () => {
    const known: Evidence = evidenceOf({
      nowMs: 20,
      needsPing: true,
      members,
      leadership: led('pg1', 1, { seenAtMs: 5 }),
      health: new Map([['pg1', healthAfter(answered({ sentAtMs: 6 }))]]),
      pings: new Map(answer === undefined ? [] : [['pg1', { answer, sentAtMs }]]),
    })
    assert.equal(route(known).write?.takesNew, want)
    assert.deepEqual(wantsPing(known), want ? [] : ['pg1'])
  })
}

test('when the store is silent the leader’s own answers extend the route only where the file says keep', () => {
  const known = (changes: Partial<Evidence>) =>
    route(
      evidenceOf({
        nowMs: 100,
        members,
        leadership: led('pg1', 1, { leaseUntilMs: 50 }),
        health: new Map([['pg1', healthAfter(answered({ sentAtMs: 90 }))]]),
        ...changes,
      }),
    ).write?.untilMs
  assert.equal(known({ isStoreSilent: true, onDcsLoss: 'keep' }), 1090)
  assert.equal(known({ isStoreSilent: true, onDcsLoss: 'close' }), undefined)
  assert.equal(known({ isStoreSilent: false, onDcsLoss: 'close' }), 1090)
})

test('for all pools and evidence: nobody is in a pool that leads as a primary, is tagged out, or never answered', () => {
  const one = fc.record({
    role: fc.constantFrom('primary', 'replica', 'standby_leader'),
    state: fc.constantFrom('running', 'starting'),
    isTagged: fc.boolean(),
    isSilent: fc.boolean(),
    lag: fc.integer({ min: 0, max: 3000 }),
  })
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 1, maxLength: 4 }),
      fc.nat(3),
      fc.boolean(),
      (list, leader, hasLimit) => {
        const named = list.map((member, index) => ({ ...member, name: `pg${index}` }))
        const known = evidence({
          members: new Map(
            named.map(({ name, isTagged }) => [name, placed(name, { noloadbalance: isTagged })]),
          ),
          health: new Map(
            named.map(({ name, role, state, isSilent }) => [
              name,
              healthAfter(...(isSilent ? [silent(0)] : [answered({ role, state, statusCode: 503 })])),
            ]),
          ),
          lags: new Map(named.map(({ name, lag }) => [name, { bytes: BigInt(lag), ms: lag }])),
          leader: `pg${leader}`,
          writer: undefined,
          previous: named.map(({ name }) => name),
        })
        for (const name of poolMembers(hasLimit ? filter({ lagBytesMax: 1000 }) : spec(), known).takes) {
          const member = named.find(other => other.name === name)
          assert.ok(member !== undefined)
          const isLeader = name === `pg${leader}`
          assert.deepEqual(
            [member.role, member.state, member.isTagged, member.isSilent],
            [isLeader ? 'standby_leader' : 'replica', 'running', false, false],
          )
          assert.ok(!hasLimit || isLeader || member.lag <= 1000)
        }
      },
    ),
  )
})

test('an empty table has no pools', () => assert.equal(emptyTable.pools.size, 0))
