import assert from 'node:assert/strict'
import test from 'node:test'
import { type DrainParts, drain, printClosing } from '../../../src/agent/drain.ts'
import type { RegisteredProxy } from '../../../src/cluster/registration.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const END = { createRevision: 77n, revision: 90n }
const won = async () => ({ outcome: 'won', revision: END.revision }) as const
const proxy = (name: string, holdsFor?: typeof END, answers = true): RegisteredProxy => ({
  name,
  answers,
  holdsFor,
})

interface Scene {
  /** Sessions in a transaction after each look. */
  readonly left?: (turn: number) => number | Error
  readonly announce?: DrainParts['announce']
  readonly drainMs?: number
  /** Who is registered at this time. */
  readonly proxies?: (atMs: number) => readonly RegisteredProxy[] | Error
}

/** A drain; what happened, and when it was over. */
async function drained({ left = () => 0, announce = won, drainMs = 5_000, proxies = () => [] }: Scene) {
  const clock = new FakeClock()
  const done: string[] = []
  const late: (readonly [readonly string[], number])[] = []
  let turn = 0
  let lookedAtMs = Number.NaN
  let endedAtMs = Number.NaN
  const running = drain(
    {
      clock,
      log: silentLogger,
      announce: (value, by) => {
        done.push(value)
        return announce(value, by)
      },
      proxies: async () => {
        const now = proxies(clock.monotonicMs())
        if (now instanceof Error) throw now
        return now
      },
      onLate: (names, waitedMs) => late.push([names, waitedMs]),
      endIdle: async () => {
        if (turn === 0) lookedAtMs = clock.monotonicMs()
        const now = left(turn)
        turn += 1
        if (now instanceof Error) throw now
        return now
      },
    },
    END.createRevision,
    drainMs,
  ).then(() => {
    endedAtMs = clock.monotonicMs()
  })
  await clock.advance(10_000)
  await running
  return { announced: done, looks: turn, lookedAtMs, endedAtMs, late }
}

test('the end of the term is announced first, and without transactions the stop comes after one look', async () => {
  assert.deepEqual(await drained({}), {
    announced: [printClosing(77n, 5_000)],
    looks: 1,
    lookedAtMs: 50,
    endedAtMs: 50,
    late: [],
  })
})

test('idle sessions are ended again every 100 ms while transactions finish', async () => {
  const { looks, endedAtMs } = await drained({ left: turn => (turn < 9 ? 3 : 0) })
  assert.deepEqual([looks, endedAtMs], [10, 950])
})

test('a transaction that does not end is waited for 5 s and no longer', async () => {
  const { endedAtMs } = await drained({ left: () => 1 })
  assert.ok(endedAtMs >= 5000 && endedAtMs <= 5100, `${endedAtMs}`)
})

test('a configured time is kept, and told to the proxies; no time at all means one look at most', async () => {
  const long = await drained({ left: () => 1, drainMs: 8_000 })
  assert.ok(long.endedAtMs >= 8_000 && long.endedAtMs <= 8_100, `${long.endedAtMs}`)
  assert.deepEqual(long.announced, ['{"create_revision":77,"drain_ms":8000}'])
  assert.deepEqual((await drained({ left: () => 1, drainMs: 0 })).endedAtMs, 50)
})

test('neither a store nor a server that does not answer keeps the stop from coming', async () => {
  const { endedAtMs, looks } = await drained({
    left: () => new Error('no'),
    announce: () => Promise.reject(new Error('away')),
  })
  assert.deepEqual([looks, endedAtMs], [1, 0])
})

test('no session is ended before every registered proxy has said that it holds new ones', async () => {
  const { lookedAtMs, late } = await drained({
    proxies: atMs => [proxy('p1', END), proxy('p2', atMs >= 300 ? END : undefined)],
  })
  assert.ok(lookedAtMs >= 300 && lookedAtMs < 330, `${lookedAtMs}`)
  assert.deepEqual(late, [])
})

test('once every registered proxy holds nothing more is waited for, unless one of them cannot say so', async () => {
  assert.equal((await drained({ proxies: () => [proxy('p1', END)] })).lookedAtMs, 0)
  const old = proxy('old', undefined, false)
  assert.equal((await drained({ proxies: () => [old] })).lookedAtMs, 50)
  assert.equal((await drained({ proxies: () => [proxy('p1', END), old] })).lookedAtMs, 50)
})

test('the answer to an earlier announcement, or for another term, is none', async () => {
  for (const old of [
    { ...END, revision: 89n },
    { ...END, createRevision: 76n },
  ]) {
    const { lookedAtMs } = await drained({ proxies: atMs => [proxy('p1', atMs >= 200 ? END : old)] })
    assert.ok(lookedAtMs >= 200 && lookedAtMs < 230, `${lookedAtMs}`)
  }
})

test('a proxy that does not answer is waited for one second, and told by name', async () => {
  const { lookedAtMs, late } = await drained({ proxies: () => [proxy('p1', END), proxy('p2')] })
  assert.equal(lookedAtMs, 1_000)
  assert.deepEqual(late, [[['p2'], 1_000]])
})

test('the wait is at most half of the time that transactions get, and none when they get none', async () => {
  const proxies = () => [proxy('p1')]
  assert.equal((await drained({ proxies, drainMs: 600 })).lookedAtMs, 300)
  assert.equal((await drained({ proxies, drainMs: 0 })).endedAtMs, 50)
})

test('a proxy that goes meanwhile is not waited for any longer, one of an older version not at all', async () => {
  const { lookedAtMs, late } = await drained({
    proxies: atMs => [proxy('old', undefined, false), ...(atMs < 400 ? [proxy('p1')] : [])],
  })
  assert.ok(lookedAtMs >= 400 && lookedAtMs < 430, `${lookedAtMs}`)
  assert.deepEqual(late, [])
})

test('answers that cannot be read are asked for again, and keep nothing from coming', async () => {
  const once = await drained({ proxies: atMs => (atMs < 200 ? new Error('away') : [proxy('p1', END)]) })
  assert.ok(once.lookedAtMs >= 200 && once.lookedAtMs < 230, `${once.lookedAtMs}`)
  const never = await drained({ proxies: () => new Error('away') })
  assert.equal(never.lookedAtMs, 1_000)
})

test('an announcement that nobody confirmed is not waited for', async () => {
  const announce = async () => ({ outcome: 'unknown', revision: undefined }) as const
  assert.equal((await drained({ announce, proxies: () => [proxy('p1')] })).lookedAtMs, 50)
})
