import assert from 'node:assert/strict'
import test from 'node:test'
import { readAnswer } from '../../../src/health/document.ts'

const times = { sentAtMs: 100, receivedAtMs: 103 }

test('a status document of an old agent is read like a new one', () => {
  const body = '{"state":"running","role":"master","timeline":4,"tags":{"noloadbalance":true}}'
  const result = readAnswer(200, body, times)
  assert.equal(result.kind, 'answer')
  assert.ok(result.kind === 'answer')
  const { role, state, timeline, tags, leaseLeftMs, sentAtMs } = result.answer
  assert.deepEqual(
    [role, state, timeline, tags, leaseLeftMs, sentAtMs],
    ['primary', 'running', 4, { noloadbalance: true }, undefined, 100],
  )
})

test('our own agents say how long their leadership lasts', () => {
  const body = '{"state":"running","role":"primary","pgherd":{"lease_left_ms":1234}}'
  const result = readAnswer(200, body, times)
  assert.equal(result.kind === 'answer' && result.answer.leaseLeftMs, 1234)
})

test('a system identifier keeps all its digits', () => {
  const body = '{"state":"running","role":"replica","database_system_identifier":"7587899103242114567"}'
  const result = readAnswer(503, body, times)
  assert.equal(result.kind === 'answer' && result.answer.systemId, '7587899103242114567')
})

for (const body of ['', '<html>', '[]', '{"role":"primary"}', '{"state":1,"role":"primary"}', 'null']) {
  test(`${JSON.stringify(body)} is silence, not an answer`, () => {
    const result = readAnswer(200, body, times)
    assert.deepEqual(result, {
      kind: 'silent',
      sentAtMs: 100,
      why: 'HTTP 200 without a status document',
    })
  })
}

test('fields of a wrong type count as absent', () => {
  const body = '{"state":"running","role":"primary","timeline":"x","tags":[1],"pgherd":7}'
  const result = readAnswer(200, body, times)
  assert.ok(result.kind === 'answer')
  const { timeline, tags, leaseLeftMs } = result.answer
  assert.deepEqual([timeline, tags, leaseLeftMs], [undefined, {}, undefined])
})
