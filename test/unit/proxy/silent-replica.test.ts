import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultChecks } from '../../../src/config/proxy/defaults.ts'
import { limits } from './facts.ts'
import { ledByPg1, schedule, type World } from './world.ts'

const readsOf = (world: World) => world.router.poolBackends('read').map(({ name }) => name)

test('a replica that falls silent leaves the reads within 1.5 s, whenever that is between two probes', async t => {
  const { intervalMs, fastIntervalMs, timeoutMs, fall } = defaultChecks
  const { hurriedTimeoutMs: _, ...asked } = schedule
  assert.deepEqual([asked, limits.fall], [{ intervalMs, timeoutMs, fastIntervalMs }, fall], 'the defaults')
  let longestMs = 0
  for (let offsetMs = 0; offsetMs < intervalMs; offsetMs += 23) {
    const world = await ledByPg1()
    t.after(() => world.close())
    await world.clock.advance(1000 + offsetMs)
    assert.deepEqual(readsOf(world), ['pg2', 'pg3'])
    Object.assign(world.scripts.get('pg3') ?? {}, { isSilent: true })
    let waitedMs = 0
    while (readsOf(world).includes('pg3') && waitedMs < 3000) {
      await world.clock.advance(10)
      waitedMs += 10
    }
    longestMs = Math.max(longestMs, waitedMs)
    assert.deepEqual(readsOf(world), ['pg2'])
  }
  t.diagnostic(`${longestMs} ms at most`)
  assert.ok(longestMs <= 1500, `${longestMs} ms`)
})

test('one answer that is lost takes no replica out of the reads', async t => {
  const world = await ledByPg1()
  t.after(() => world.close())
  await world.clock.advance(1000)
  const script = Object.assign(world.scripts.get('pg3') ?? {}, { isSilent: true })
  await world.clock.advance(600)
  Object.assign(script, { isSilent: false })
  for (let each = 0; each < 100; each += 1) {
    await world.clock.advance(20)
    assert.deepEqual(readsOf(world), ['pg2', 'pg3'])
  }
})
