import assert from 'node:assert/strict'
import test from 'node:test'
import { answerFailsafe } from '../../../src/api/failsafe.ts'
import { replicaStatus } from '../../support/agent-status.ts'
import { fakeAgent } from '../../support/fake-agent.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function answer(word: 'accepted' | 'refused' | 'off', body: object) {
  const agent = fakeAgent(new FakeClock(), replicaStatus())
  agent.failsafe = word
  return { agent, ...answerFailsafe(agent, { ...body }) }
}

test('an accepted leader gets the text that others look for, and our position', () => {
  const { code, body, headers, agent } = answer('accepted', { name: 'pg1', slots: { pg2: 123, odd: 'x' } })
  assert.deepEqual([code, body?.text], [200, 'Accepted'])
  assert.equal(headers?.['lsn'], String(0x3000100n))
  const call = { name: 'pg1', apiUrl: undefined, slots: { pg2: 123n }, ttlMs: undefined }
  assert.deepEqual(agent.failsafeCalls, [call])
})

test('a caller tells for how long it goes by our word; what is no time counts for nothing', () => {
  const told = (ttl: unknown) =>
    answer('accepted', { name: 'pg1', ttl_ms: ttl }).agent.failsafeCalls[0]?.ttlMs
  assert.deepEqual([30_000, 0, -1, 1e12, 'long', null].map(told), [
    30_000,
    undefined,
    undefined,
    86_400_000,
    undefined,
    undefined,
  ])
})

test('a member that leads or knows another leader says no with 500, one without failsafe mode with 502', () => {
  assert.equal(answer('refused', { name: 'pg1' }).code, 500)
  assert.equal(answer('off', { name: 'pg1' }).code, 502)
})

test('a call that names nobody is refused before anybody is promised anything', () => {
  const { code, agent } = answer('accepted', { slots: {} })
  assert.equal(code, 400)
  assert.deepEqual(agent.failsafeCalls, [])
})
