import assert from 'node:assert/strict'
import test from 'node:test'
import { drain, printClosing } from '../../../src/agent/drain.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** A drain with `left` sessions in a transaction after each look; what happened, and when it was over. */
async function drained(
  left: (turn: number) => number | Error,
  announce: () => Promise<unknown> = async () => 'won',
  drainMs = 5_000,
) {
  const clock = new FakeClock()
  const done: string[] = []
  let turn = 0
  let endedAtMs = Number.NaN
  const running = drain(
    {
      clock,
      log: silentLogger,
      announce: value => {
        done.push(value)
        return announce()
      },
      endIdle: async () => {
        const now = left(turn)
        turn += 1
        if (now instanceof Error) throw now
        return now
      },
    },
    77n,
    drainMs,
  ).then(() => {
    endedAtMs = clock.monotonicMs()
  })
  await clock.advance(10_000)
  await running
  return { announced: done, looks: turn, endedAtMs }
}

test('the end of the term is announced first, and without transactions the stop comes after one look', async () => {
  assert.deepEqual(await drained(() => 0), {
    announced: [printClosing(77n, 5_000)],
    looks: 1,
    endedAtMs: 50,
  })
})

test('idle sessions are ended again every 100 ms while transactions finish', async () => {
  const { looks, endedAtMs } = await drained(turn => (turn < 9 ? 3 : 0))
  assert.deepEqual([looks, endedAtMs], [10, 950])
})

test('a transaction that does not end is waited for 5 s and no longer', async () => {
  const { endedAtMs } = await drained(() => 1)
  assert.ok(endedAtMs >= 5000 && endedAtMs <= 5100, `${endedAtMs}`)
})

test('a configured time is kept, and told to the proxies; no time at all means one look at most', async () => {
  const long = await drained(() => 1, undefined, 8_000)
  assert.ok(long.endedAtMs >= 8_000 && long.endedAtMs <= 8_100, `${long.endedAtMs}`)
  assert.deepEqual(long.announced, ['{"create_revision":77,"drain_ms":8000}'])
  assert.deepEqual((await drained(() => 1, undefined, 0)).endedAtMs, 50)
})

test('neither a store nor a server that does not answer keeps the stop from coming', async () => {
  const { endedAtMs, looks } = await drained(
    () => new Error('no'),
    () => Promise.reject(new Error('away')),
  )
  assert.deepEqual([looks, endedAtMs], [1, 0])
})
