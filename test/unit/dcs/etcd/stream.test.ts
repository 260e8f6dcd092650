import assert from 'node:assert/strict'
import test from 'node:test'
import { WatchStream } from '../../../../src/dcs/etcd/stream.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { fakeEtcd } from './fake-members.ts'

const SILENCE_MS = 2_000
const ANSWER_MS = 1_000

/** One confirmed stream, and why it ended, if it did. */
async function streaming() {
  const clock = new FakeClock()
  const { members, wire } = fakeEtcd(clock, 1)
  const [endpoint] = members
  assert.ok(endpoint !== undefined)
  const ends: string[] = []
  const parts = { clock, wire, endpoint, from: undefined, answerMs: ANSWER_MS, silenceMs: SILENCE_MS }
  const stream = new WatchStream(parts, {
    doubt: () => undefined,
    onCreated: () => {},
    onEvents: () => {},
    onAlive: () => {},
    onEnd: ({ why }) => void ends.push(why),
  })
  await clock.advance(0)
  const [there] = endpoint.streams
  assert.ok(there !== undefined)
  there.created(10)
  return { clock, stream, there, ends }
}

test('a member that owes a sign of life is left after the time for an answer', async () => {
  const { clock, there, ends } = await streaming()
  await clock.advance(SILENCE_MS + ANSWER_MS - 10)
  assert.deepEqual([there.progressRequests, ends], [1, []])
  await clock.advance(20)
  assert.deepEqual(ends, ['is silent'])
})

test('when this process stood still the answer may lie unread: the stream is left only if it is not there either', async () => {
  for (const isAnswered of [true, false]) {
    const { clock, stream, there, ends } = await streaming()
    await clock.advance(SILENCE_MS + 100)
    assert.equal(there.progressRequests, 1)
    clock.jump(3_000)
    await clock.advance(10)
    if (isAnswered) there.progress(10)
    await clock.advance(500)
    assert.deepEqual(ends, isAnswered ? [] : ['is silent'])
    stream.close('over')
    assert.equal(clock.timers, 0)
  }
})
