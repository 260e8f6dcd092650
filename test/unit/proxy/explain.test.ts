import assert from 'node:assert/strict'
import test from 'node:test'
import { explainBackend, readStatus, type StatusParts } from '../../../src/proxy/admin/status.ts'
import { ledByPg1 } from './world.ts'

async function parts(t: { after(run: () => Promise<void>): void }) {
  const world = await ledByPg1()
  t.after(() => world.close())
  const made: StatusParts = {
    clock: world.clock,
    name: 'proxy1',
    version: '0',
    scope: () => 'pgsql',
    startedAtMs: 0,
    router: world.router,
    listeners: [],
    totals: {},
    events: { last: () => [] },
    relay: 'net',
    storeKind: 'etcd',
    storeSilentMs: () => undefined,
  }
  return { world, made }
}

test('each piece of evidence for the leader is told with its deadline', async t => {
  const { made } = await parts(t)
  const lines = explainBackend('pg1', { ...made, listeners: [{ config: { pool: 'leader' } }] as never }) ?? []
  const text = lines.join('\n')
  assert.match(text, /^pg1 at 10\.0\.0\.1:5432: leader$/m)
  assert.match(text, /^writes: holds the leader key since revision \d+$/m)
  assert.match(text, /^writes: lease: good for \d+\.\d s$/m)
  assert.match(text, /^writes: its own answers: good for 1\.0 s$/m)
  assert.match(text, /^listener read: holds the leader key$/m)
})

test('a replica that takes no reads is explained: silent, tagged, stopped, or fine', async t => {
  const { world, made } = await parts(t)
  const why = () => explainBackend('pg3', made)?.at(-1)
  assert.equal(why(), 'listener read: takes sessions')
  Object.assign(world.scripts.get('pg3') ?? {}, { state: 'starting' })
  await world.clock.advance(1500)
  assert.equal(why(), 'listener read: its server is starting')
  Object.assign(world.scripts.get('pg3') ?? {}, { isSilent: true })
  await world.clock.advance(2000)
  assert.equal(why(), 'listener read: does not answer: no answer')
  assert.equal(explainBackend('pg9', made), undefined)
})

test('the status document shows lag, pings and the reason to wait for each member', async t => {
  const { made } = await parts(t)
  const { members, closing } = readStatus(made) as {
    members: readonly Record<string, unknown>[]
    closing: boolean
  }
  assert.equal(closing, false)
  assert.deepEqual(
    Object.keys(members[0] ?? {}).filter(key => ['ping', 'lag', 'refusals'].includes(key)),
    ['ping', 'lag', 'refusals'],
  )
})
