import assert from 'node:assert/strict'
import test from 'node:test'
import { drain, printClosing } from '../../../src/agent/drain.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** A drain with `left` sessions in a transaction after each look; what happened, and when it was over. */
async function drained(
  left: (turn: number) => number | Error,
  announce: () => Promise<unknown> = async () => 'won',
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
  ).then(() => {
    endedAtMs = clock.monotonicMs()
  })
  await clock.advance(10_000)
  await running
  return { announced: done, looks: turn, endedAtMs }
}

test('the end of the term is announced first, and without transactions the stop comes after one look', async () => {
  assert.deepEqual(await drained(() => 0), {
    announced: [printClosing(77n)],
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

test('neither a store nor a server that does not answer keeps the stop from coming', async () => {
  const { endedAtMs, looks } = await drained(
    () => new Error('no'),
    () => Promise.reject(new Error('away')),
  )
  assert.deepEqual([looks, endedAtMs], [1, 0])
})
