import assert from 'node:assert/strict'
import test from 'node:test'
import { KNOCK_EVERY_MS, Knocker } from '../../../src/postgres/knock.ts'
import type { PingAnswer } from '../../../src/postgres/ping.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const DOOR = { host: '127.0.0.1', port: 5432 }

function scene() {
  const clock = new FakeClock()
  let answer: PingAnswer = 'accepting'
  let knocks = 0
  const knocker = new Knocker(clock, () => {
    knocks += 1
    return Promise.resolve(answer)
  })
  const look = async (afterMs: number, next: PingAnswer, pid = 7) => {
    await clock.advance(afterMs)
    answer = next
    knocker.begin(pid, DOOR, 'postgres')
    await Promise.resolve()
    return knocker.unansweredMs
  }
  return { look, knocker, count: () => knocks }
}

test('a server is knocked at once in a while, however often it is looked at', async () => {
  const { look, count } = scene()
  for (let turn = 0; turn < 10; turn += 1) await look(KNOCK_EVERY_MS / 5, 'accepting')
  assert.equal(count(), 2)
})

test('silence is counted from the first knock that nobody answered, and ends with any answer', async () => {
  const { look } = scene()
  assert.equal(await look(0, 'accepting'), 0)
  assert.equal(await look(KNOCK_EVERY_MS, 'silent'), 0)
  assert.equal(await look(KNOCK_EVERY_MS, 'silent'), KNOCK_EVERY_MS)
  assert.equal(await look(100, 'silent'), KNOCK_EVERY_MS + 100)
  assert.equal(await look(KNOCK_EVERY_MS, 'rejecting'), 0, 'a refusal is an answer')
})

test('the silence of one postmaster is not the next one’s', async () => {
  const { look, knocker } = scene()
  await look(0, 'silent')
  await look(KNOCK_EVERY_MS, 'silent')
  assert.equal(await look(KNOCK_EVERY_MS, 'accepting', 8), 0)
  await look(KNOCK_EVERY_MS, 'silent', 8)
  knocker.forget()
  assert.equal(knocker.unansweredMs, 0)
})
