// A standby cluster on real servers: made from the main one, led by a standby, promoted by an order.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { keyText } from '../support/dynamic-config.ts'
import { recordCalls, roleCalls } from '../support/recorded-calls.ts'
import { runProgram } from '../support/run-program.ts'
import { standbyLeader, twoSites, untilRow } from '../support/two-sites.ts'

const { main, standby, work } = await twoSites(
  { after },
  { members: 1, dcs: { slots: { far: { type: 'physical' } } } },
  { members: 2 },
  ({ members: [only] }) => ({
    host: only?.host.address,
    port: only?.config.postgresPort,
    primary_slot_name: 'far',
  }),
)
const [source] = main.members
const [first, second] = standby.members
assert.ok(source && first && second)
for (const member of standby.members) await recordCalls(member)
const untilTold = (member: Member, calls: readonly string[]) =>
  waitFor(`${member.name} to be told ${calls.join(', ')}`, { withinMs: 20_000, everyMs: 50 }, async note => {
    const told = await roleCalls(member)
    note(told.join(', '))
    return told.join() === calls.join()
  })
const ctl = (...words: readonly string[]) =>
  runProgram([...work.program, 'ctl', '-c', first.configFile, ...words])

test('a standby cluster is made by a copy of the main one, its leader streams from there and the others from it', async t => {
  const beganMs = performance.now()
  await first.agent.start()
  const leader = await standbyLeader(standby)
  t.diagnostic(`standby leader ${Math.round(performance.now() - beganMs)} ms after its start`)
  await second.agent.start()
  await source.query('CREATE TABLE before AS SELECT 1 AS id')
  await untilRow(second, 'before')
  const codes = await Promise.all(
    ['/standby-leader', '/standby_leader', '/leader', '/primary', '/replica', '/read-only'].map(
      async path => (await leader.rest(path)).code,
    ),
  )
  assert.deepEqual(codes, [200, 200, 200, 503, 503, 200])
  assert.equal(JSON.parse(await keyText(standby, `members/${leader.name}`)).role, 'standby_leader')
  assert.match((await leader.rest('/cluster')).body, /"role":\s*"standby_leader"/)
  const { stdout } = await ctl('list')
  assert.match(stdout, new RegExp(`${leader.name} .*Standby Leader \\| running`))
  assert.match(stdout, /^ Standby cluster of: 127\.0\.0\.\d+, port \d+$/m)
  const upstreams = await source.query<{ slot: string }>(
    "SELECT slot_name AS slot FROM pg_replication_slots WHERE active AND slot_name = 'far'",
  )
  assert.equal(upstreams.length, 1)
  await assert.rejects(leader.query('CREATE TABLE refused AS SELECT 1 AS id'), /read-only transaction/)
})

test('the callbacks of a standby leader hear of a replica first and of a standby leader next', async () => {
  await untilTold(first, ['on_start replica there', 'on_role_change standby_leader there'])
  await untilTold(second, ['on_start replica there'])
})

test('promote-cluster makes the standby leader a primary, and its members follow it on the new timeline', async t => {
  const beganMs = performance.now()
  const { code, stdout, stderr } = await ctl('promote-cluster', '--force')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /Success: the leader is a primary now/)
  const leader = await standby.leader()
  t.diagnostic(`promoted within ${Math.round(performance.now() - beganMs)} ms`)
  await leader.query('CREATE TABLE afterwards AS SELECT 1 AS id')
  const asStandby = ['on_start replica there', 'on_role_change standby_leader there']
  await untilTold(leader, [...asStandby, 'on_role_change primary there'])
  await standby.complete()
  await untilRow(standby.members.find(member => member !== leader) ?? leader, 'afterwards')
  await waitFor('the history key', { withinMs: 15_000 }, async note => {
    const text = await keyText(standby, 'history')
    note(text)
    return text !== ''
  })
  const [row] = await leader.query<{ n: string }>(
    "SELECT count(*)::text AS n FROM pg_class WHERE relname = 'before'",
  )
  assert.equal(row?.n, '1')
})
