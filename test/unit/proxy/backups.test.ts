// Backups, servers that drain, and servers of a file whose names are not those of the members.

import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultListener } from '../../../src/config/proxy/defaults.ts'
import type { ServerOptions } from '../../../src/config/proxy/types.ts'
import { type CheckRule, judgeCheck } from '../../../src/health/check-verdict.ts'
import type { MemberHealth } from '../../../src/health/verdict.ts'
import { Backend, type Cuttable } from '../../../src/proxy/backend.ts'
import type { CutReason } from '../../../src/proxy/cut-reason.ts'
import { unknownLeadership } from '../../../src/proxy/leadership.ts'
import { Leavers } from '../../../src/proxy/leavers.ts'
import { type PoolEvidence, type PoolSpec, poolMembers } from '../../../src/proxy/pool-members.ts'
import { createSpecs, standingIn } from '../../../src/proxy/pool-specs.ts'
import { emptyTable, type RoutingTable, route } from '../../../src/proxy/route.ts'
import { electByChecks } from '../../../src/proxy/static-leader.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { answer, answered, evidenceOf, healthAfter, membersNamed, replica } from './facts.ts'

const rule: CheckRule = {
  rise: 2,
  fall: 3,
  intervalMs: 1000,
  timeoutMs: 1000,
  accepts: code => code === 200,
  drains: code => code === 404,
}

/** `+` good, `4` code 404, `-` another code; one check a second. */
function checked(results: string, changes: Partial<CheckRule> = {}): MemberHealth {
  const codes: Readonly<Record<string, number>> = { '+': 200, '4': 404, '-': 503 }
  return [...results].reduce<MemberHealth | undefined>((health, sign, index) => {
    const given = answer({ sentAtMs: index * 1000, statusCode: codes[sign] ?? 0, role: 'unknown' })
    return judgeCheck(health, { kind: 'answer', answer: given }, { ...rule, ...changes })
  }, undefined) as MemberHealth
}

function server(name: string, changes: Partial<ServerOptions> = {}): ServerOptions {
  const number = Number(name.replace(/\D/g, '')) || 9
  return {
    name,
    address: { host: `10.0.0.${number}`, port: 5432 },
    weight: 1,
    connectionsMax: undefined,
    queueMax: undefined,
    isBackup: false,
    takesLeader: false,
    isDisabled: false,
    slowStartMs: 0,
    sendProxy: undefined,
    source: undefined,
    check: {
      question: {
        kind: 'http',
        method: 'GET',
        path: '/replica',
        version: 'HTTP/1.0',
        headers: [],
        expects: { ranges: [{ from: 200, to: 200 }], negated: false },
        drainsOn404: true,
      },
      target: { host: `10.0.0.${number}`, port: 8008 },
      tls: undefined,
      sendProxy: false,
      intervalMs: 1000,
      fastIntervalMs: 1000,
      downIntervalMs: 1000,
      rise: 2,
      fall: 3,
      connectTimeoutMs: 1000,
      timeoutMs: 1000,
    },
    cutsWhenDown: true,
    cutsBackupsWhenUp: false,
    ...changes,
  }
}

function poolOf(kind: 'servers' | 'replica', servers: readonly ServerOptions[]): PoolSpec {
  const [spec] = createSpecs([{ ...defaultListener, name: 'read', binds: [], pool: kind, servers }])
  assert.ok(spec)
  return spec
}

function facts(changes: Partial<PoolEvidence>): PoolEvidence {
  return {
    nowMs: 0,
    members: membersNamed('pg1', 'pg2', 'pg3'),
    health: new Map(),
    checks: undefined,
    leader: undefined,
    writer: undefined,
    sync: undefined,
    lags: new Map(),
    vouched: new Set(),
    previous: [],
    ...changes,
  }
}

test('code 404 drains a server that is up and does not bring one up that is down', () => {
  assert.deepEqual(
    ['+', '+444', '-4', '-44', '+44--', '+44---'].map(results => checked(results).counter.isUp),
    [true, true, false, false, true, false],
  )
})

// checks of pg1, pg2 and of the backup pg3; who takes new sessions, who keeps those that he has
const pools: readonly (readonly [string, string, string, string, string, string])[] = [
  ['the backup rests while others are up', '+', '+', '+', 'pg1,pg2', 'pg3'],
  ['a server that drains rests', '+4', '++', '+', 'pg2', 'pg1,pg3'],
  ['the backup comes in for servers that drain', '+4', '-', '+', 'pg3', 'pg1'],
  ['and for those that are down, which do not rest', '-', '-', '+', 'pg3', ''],
]
for (const [name, one, two, three, takes, rests] of pools) {
  test(`servers of a file: ${name}`, () => {
    const pool = poolOf('servers', [server('pg1'), server('pg2'), server('pg3', { isBackup: true })])
    const checks = new Map([
      ['pg1', checked(one)],
      ['pg2', checked(two)],
      ['pg3', checked(three)],
    ])
    const found = poolMembers(pool, facts({ checks }))
    assert.deepEqual([found.takes.join(), found.rests.join()], [takes, rests])
  })
}

test('in the section of the leader code 404 keeps its sessions, and makes nobody the leader', () => {
  const known = (results: string) => new Map([['pg1', checked(results, { roleWhenGood: 'primary' })]])
  const lead = electByChecks(unknownLeadership, known('+'), ['pg1', 'pg2'], 5).believed.next
  assert.equal(lead.epoch?.member, 'pg1')
  const tableOf = (results: string) => {
    const nowMs = (results.length - 1) * 1000 + 5
    const leadership = electByChecks(lead, known(results), ['pg1', 'pg2'], nowMs).believed.next
    const members = membersNamed('pg1', 'pg2')
    return route(evidenceOf({ nowMs, leadership, members, health: known(results) })).write
  }
  assert.deepEqual(
    ['++', '+4', '+444444', '+4+', '+4---'].map(results => tableOf(results)?.takesNew),
    [true, false, false, true, undefined],
  )
  assert.equal(electByChecks(unknownLeadership, known('4444'), ['pg1'], 3005).believed.change, 'none')
})

const up = healthAfter(answered(replica))
const health = new Map([
  ['pg1', healthAfter(answered())],
  ['pg2', up],
  ['pg3', up],
])
const led = { health, leader: 'pg1', writer: 'pg1' }

// lines of the file: name, address of the member, what it says; who takes sessions of a pool of replicas
const lines: readonly (readonly [string, readonly ServerOptions[], Partial<PoolEvidence>, string])[] = [
  ['disabled counts for the address', [server('db2', { isDisabled: true })], led, 'pg3'],
  ['so does backup', [server('db2', { isBackup: true })], led, 'pg3'],
  [
    'a name that is another member’s means nothing',
    [server('pg2', { ...at('pg3'), isDisabled: true })],
    led,
    'pg2',
  ],
  [
    'a line with a host name is found by its own name',
    [server('pg2', { ...at('db2.example'), isDisabled: true })],
    led,
    'pg3',
  ],
  [
    'or by the host’s',
    [server('x', { ...at('pg2'), address: { host: 'pg2', port: 5432 }, isDisabled: true })],
    led,
    'pg3',
  ],
  [
    'backups keep the order of the file',
    [server('b3', { isBackup: true }), server('a2', { isBackup: true })],
    led,
    'pg3',
  ],
  [
    'the leader as a backup takes reads when no replica does',
    [server('db1'), server('db1-last', { ...at('pg1'), isBackup: true, takesLeader: true })],
    { ...led, health: new Map([['pg1', healthAfter(answered())]]) },
    'pg1',
  ],
  [
    'and none while one does',
    [server('db1'), server('db1-last', { ...at('pg1'), isBackup: true, takesLeader: true })],
    led,
    'pg2,pg3',
  ],
]
for (const [name, servers, evidence, want] of lines) {
  test(`lines of a file beside a store: ${name}`, () => {
    assert.equal(poolMembers(poolOf('replica', servers), facts(evidence)).takes.join(), want)
  })
}

function at(member: string): Pick<ServerOptions, 'address'> {
  const number = /^pg(\d)$/.exec(member)?.[1]
  return { address: { host: number === undefined ? member : `10.0.0.${number}`, port: 5432 } }
}

class Guest implements Cuttable {
  readonly listener = 'read'
  readonly hasBegun = true
  readonly isIdle = false
  reason: CutReason | undefined

  cut(reason: CutReason, _says: string, onCut?: () => void): boolean {
    this.reason = reason
    onCut?.()
    return true
  }
}

function table(takes: readonly string[], rests: readonly string[] = []): RoutingTable {
  return { ...emptyTable, pools: new Map([['read', takes]]), rests: new Map([['read', rests]]) }
}

/** Sessions on pg1 and on pg2 while the pool goes through these tables; who was cut. */
async function cutBy(servers: readonly ServerOptions[], tables: readonly RoutingTable[]): Promise<string> {
  const clock = new FakeClock()
  const guests = new Map(['pg1', 'pg2'].map(name => [name, new Guest()]))
  const backends = new Map(
    [...guests].map(([name, guest]) => {
      const backend = new Backend(name, { host: '10.0.0.1', port: 1 }, clock)
      backend.join(guest)
      return [name, backend]
    }),
  )
  let now = emptyTable
  const router = {
    members: membersNamed('pg1', 'pg2'),
    get table() {
      return now
    },
  }
  const leavers = new Leavers({
    clock,
    ...standingIn([poolOf('servers', servers)], router, { cutAfterMs: () => 1000 }),
    backendOf: name => backends.get(name),
    onCut: () => {},
  })
  for (const next of tables) {
    const before = now
    now = next
    leavers.changed(before, next)
    await clock.advance(2000)
  }
  return [...guests]
    .filter(([, { reason }]) => reason !== undefined)
    .map(([name]) => name)
    .join()
}

// what it is about, the servers, tables one after the other, whose sessions are cut
const stays: readonly (readonly [string, readonly ServerOptions[], readonly RoutingTable[], string])[] = [
  [
    'of a server that is down go',
    [server('pg1'), server('pg2')],
    [table(['pg1', 'pg2']), table(['pg2'])],
    'pg1',
  ],
  [
    'stay without on-marked-down',
    [server('pg1', { cutsWhenDown: false }), server('pg2')],
    [table(['pg1', 'pg2']), table(['pg2'])],
    '',
  ],
  [
    'of a backup stay when it is not needed any more',
    [server('pg1'), server('pg2', { isBackup: true })],
    [table(['pg2']), table(['pg1'], ['pg2'])],
    '',
  ],
  [
    'and go when it is down afterwards',
    [server('pg1'), server('pg2', { isBackup: true })],
    [table(['pg2']), table(['pg1'], ['pg2']), table(['pg1'])],
    'pg2',
  ],
  [
    'of a backup go where on-marked-up says so',
    [server('pg1', { cutsBackupsWhenUp: true }), server('pg2', { isBackup: true })],
    [table(['pg2']), table(['pg1'], ['pg2'])],
    'pg2',
  ],
  [
    'of a server that drains stay',
    [server('pg1'), server('pg2')],
    [table(['pg1', 'pg2']), table(['pg2'], ['pg1'])],
    '',
  ],
]
for (const [name, servers, tables, want] of stays) {
  test(`sessions ${name}`, async () => assert.equal(await cutBy(servers, tables), want))
}
