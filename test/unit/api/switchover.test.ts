import assert from 'node:assert/strict'
import test from 'node:test'
import type { Order } from '../../../src/api/order.ts'
import { carryOut } from '../../../src/api/switchover.ts'
import { type PeerAnswer, parsePeerAnswer, unreachable } from '../../../src/health/peer.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { leaderStatus, threeMembers } from '../../support/agent-status.ts'
import { type FakeAgent, fakeAgent } from '../../support/fake-agent.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const order: Order = {
  action: 'switchover',
  request: { leader: 'pg1', candidate: undefined, scheduledAt: undefined },
}
const good = (name: string): PeerAnswer => parsePeerAnswer(name, { role: 'replica' })

interface Scene {
  readonly clock: FakeClock
  readonly agent: FakeAgent
  /** Runs the order while time passes. */
  readonly run: (what?: Order, passMs?: number) => Promise<string>
}

async function scene(answer: (name: string) => PeerAnswer = good): Promise<Scene> {
  const clock = new FakeClock()
  const agent = fakeAgent(clock, leaderStatus())
  await agent.put(threeMembers)
  const askPeers = async (urls: ReadonlyMap<string, string>) => [...urls.keys()].map(answer)
  const run = async (what: Order = order, passMs = 1_000) => {
    const running = carryOut(what, { agent, clock, askPeers }, new AbortController().signal)
    await clock.advance(passMs)
    const { code, body } = await running
    assert.equal(agent.trouble, undefined)
    return `${code} ${body?.text}`
  }
  return { clock, agent, run }
}

function to(candidate: string, action: Order['action'] = 'switchover'): Order {
  const leader = action === 'switchover' ? 'pg1' : undefined
  return { action, request: { leader, candidate, scheduledAt: undefined } }
}

test('the request is written as others read it, and the agent is woken', async () => {
  const { agent, run, clock } = await scene()
  agent.onWake = async () => {
    const view = await agent.dcs.read(Deadline.in(clock, 1_000))
    assert.deepEqual(view.request?.value, { leader: 'pg1', candidate: 'pg2', scheduledAt: undefined })
    await agent.put({ leader: 'pg2', failover: '{}' })
  }
  assert.equal(await run(to('pg2')), '200 Successfully switched over to "pg2"')
  assert.equal(agent.wakes, 1)
})

const outcomes: readonly (readonly [string, Order, Record<string, string | undefined>, number, string])[] = [
  [
    'any other leader',
    order,
    { leader: 'pg3', failover: '{}' },
    1_000,
    '200 Successfully switched over to "pg3"',
  ],
  [
    'another than the named one',
    to('pg2'),
    { leader: 'pg3' },
    1_000,
    '200 Switched over to "pg3" instead of "pg2"',
  ],
  [
    'the named one by failover',
    to('pg2', 'failover'),
    { leader: 'pg2' },
    1_000,
    '200 Successfully failed over to "pg2"',
  ],
  ['a request that was cleared', order, { failover: '{}' }, 1_000, '503 Switchover failed'],
  ['a failover that was cleared', to('pg2', 'failover'), { failover: '{}' }, 1_000, '503 Failover failed'],
  ['nothing at all', order, {}, 21_000, '503 Switchover status unknown'],
  ['a key that stays free', order, { leader: undefined }, 21_000, '503 Switchover status unknown'],
]
for (const [what, wanted, keys, passMs, answer] of outcomes) {
  test(`${what} after the request is answered ${answer}`, async () => {
    const { agent, run } = await scene()
    agent.onWake = () => agent.put(keys)
    assert.equal(await run(wanted, passMs), answer)
  })
}

test('a scheduled switchover is written and not waited for', async () => {
  const { agent, run, clock } = await scene()
  const request = { leader: 'pg1', candidate: undefined, scheduledAt: '2030-01-01T10:00:00+00:00' }
  assert.equal(await run({ action: 'switchover', request }), '202 Switchover scheduled')
  const view = await agent.dcs.read(Deadline.in(clock, 1_000))
  assert.deepEqual(view.request?.value, request)
})

const LATER = '2030-01-01T10:00:00+00:00'
const nobody = { 'members/pg2': undefined, 'members/pg3': undefined }
const asynchronous = { sync: '{"leader":"pg1","sync_standby":"pg3"}' }
const tonight: readonly (readonly [string, Order['request'], Record<string, string | undefined>])[] = [
  ['every candidate is unfit', { leader: 'pg1', candidate: undefined, scheduledAt: LATER }, {}],
  ['nobody but the leader is there', { leader: 'pg1', candidate: undefined, scheduledAt: LATER }, nobody],
  ['another leads', { leader: 'pg2', candidate: 'pg3', scheduledAt: LATER }, {}],
  [
    'the candidate does not confirm commits',
    { leader: 'pg1', candidate: 'pg2', scheduledAt: LATER },
    asynchronous,
  ],
]
for (const [what, request, keys] of tonight) {
  test(`a scheduled switchover is judged when it is due, not now: ${what}`, async () => {
    const { agent, run, clock } = await scene(unreachable)
    await agent.put(keys)
    assert.equal(await run({ action: 'switchover', request }), '202 Switchover scheduled')
    assert.deepEqual((await agent.dcs.read(Deadline.in(clock, 1_000))).request?.value, request)
  })
}

test('a scheduled switchover to a name that nobody has is refused at once', async () => {
  const { agent, run, clock } = await scene()
  const request = { leader: 'pg1', candidate: 'pg9', scheduledAt: LATER }
  assert.equal(await run({ action: 'switchover', request }), '412 candidate does not exists')
  assert.equal((await agent.dcs.read(Deadline.in(clock, 1_000))).request, undefined)
})

const unfit: readonly (readonly [string, (name: string) => PeerAnswer])[] = [
  ['does not answer', unreachable],
  ['must not lead', name => parsePeerAnswer(name, { tags: { nofailover: true } })],
  ['has a failed watchdog', name => parsePeerAnswer(name, { watchdog_failed: true })],
]
for (const [why, answer] of unfit) {
  test(`when every candidate ${why}, nothing is written`, async () => {
    const { agent, run, clock } = await scene(answer)
    assert.equal(await run(), '412 switchover is not possible: no good candidates have been found')
    assert.equal((await agent.dcs.read(Deadline.in(clock, 1_000))).request, undefined)
    assert.equal(agent.wakes, 0)
  })
}

test('one fit candidate is enough', async () => {
  const { agent, run } = await scene(name => (name === 'pg3' ? good(name) : unreachable(name)))
  agent.onWake = () => agent.put({ leader: 'pg3' })
  assert.equal(await run(), '200 Successfully switched over to "pg3"')
})

test('a request that somebody else wrote in between is not overwritten', async () => {
  const { agent, clock } = await scene()
  const askPeers = async () => {
    await agent.put({ failover: '{"leader":"pg1","member":"pg3"}' })
    return [good('pg2')]
  }
  const answer = await carryOut(to('pg2'), { agent, clock, askPeers }, new AbortController().signal)
  assert.equal(answer.code, 409)
  assert.equal((await agent.dcs.read(Deadline.in(clock, 1_000))).request?.value.candidate, 'pg3')
})

test('a write whose answer does not come is told as unknown, never as failed', async () => {
  const { agent, clock } = await scene()
  const askPeers = async () => {
    agent.dcs.setFaults({ answersLost: true })
    return [good('pg2')]
  }
  const running = carryOut(to('pg2'), { agent, clock, askPeers }, new AbortController().signal)
  await clock.advance(15_000)
  const { code, body } = await running
  assert.deepEqual([code, body?.text], [503, 'Switchover status unknown'])
})

test('the watch for the outcome ends when the caller has gone', async () => {
  const { agent, clock } = await scene()
  const controller = new AbortController()
  const running = carryOut(
    to('pg2'),
    { agent, clock, askPeers: async () => [good('pg2')] },
    controller.signal,
  )
  await clock.advance(600)
  controller.abort(new Error('gone'))
  await assert.rejects(running, { message: 'gone' })
  assert.equal(clock.timers, 0)
})
