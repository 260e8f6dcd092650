import assert from 'node:assert/strict'
import test from 'node:test'
import type { Endpoint } from '../../../../src/dcs/etcd/endpoints.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { fakeEtcd } from './fake-members.ts'

function rig() {
  const clock = new FakeClock()
  const { members, endpoints } = fakeEtcd(clock, 3)
  const [m0, m1, m2] = members
  assert.ok(m0 !== undefined && m1 !== undefined && m2 !== undefined)
  const order = () => endpoints.order().map((endpoint: Endpoint) => endpoint.name)
  return { clock, endpoints, m0, m1, m2, order }
}

test('the preferred member comes first, the others follow in turn', () => {
  const { endpoints, m1, order } = rig()
  assert.deepEqual(order(), ['m0', 'm1', 'm2'])
  endpoints.prefer(m1)
  assert.deepEqual(order(), ['m1', 'm2', 'm0'])
})

test('members that failed stand at the end, the one that failed longest ago first, and come back with time', async () => {
  const { clock, endpoints, m0, m1, order } = rig()
  endpoints.failed(m1)
  await clock.advance(100)
  endpoints.failed(m0)
  assert.deepEqual(order(), ['m2', 'm1', 'm0'])
  await clock.advance(3_000)
  assert.deepEqual(order(), ['m0', 'm1', 'm2'])
})

test('an answer after a failure makes a member good again', async () => {
  const { clock, endpoints, m0, order } = rig()
  endpoints.failed(m0)
  await clock.advance(10)
  endpoints.answered(m0)
  assert.deepEqual(order(), ['m0', 'm1', 'm2'])
})

test('who listens hears of failures until it stops', () => {
  const { endpoints, m0 } = rig()
  const heard: string[] = []
  const stop = endpoints.onFailed(endpoint => heard.push(endpoint.name))
  endpoints.failed(m0)
  stop()
  endpoints.failed(m0)
  assert.deepEqual(heard, ['m0'])
})
