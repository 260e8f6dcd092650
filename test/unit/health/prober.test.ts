import assert from 'node:assert/strict'
import test from 'node:test'
import type { ProbeResult } from '../../../src/health/document.ts'
import type { Probe } from '../../../src/health/probe.ts'
import { Prober } from '../../../src/health/prober.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { silent } from '../proxy/facts.ts'

const schedule = { intervalMs: 500, fastIntervalMs: 100, timeoutMs: 500 }

/** A member that takes `takesMs` for each answer. */
class SlowMember implements Probe {
  readonly askedAtMs: number[] = []
  isClosed = false
  readonly #clock: FakeClock
  readonly #takesMs: number

  constructor(clock: FakeClock, takesMs: number) {
    this.#clock = clock
    this.#takesMs = takesMs
  }

  async ask(): Promise<ProbeResult> {
    const sentAtMs = this.#clock.monotonicMs()
    this.askedAtMs.push(sentAtMs)
    await this.#clock.sleep(this.#takesMs)
    return silent(sentAtMs)
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

function start(takesMs: number, isHurried = false) {
  const clock = new FakeClock()
  const member = new SlowMember(clock, takesMs)
  const results: ProbeResult[] = []
  const prober = new Prober(clock, member, schedule, {
    onResult: result => void results.push(result),
    isHurried: () => isHurried,
  })
  prober.start()
  return { clock, member, results, prober }
}

test('probes leave at the interval, counted from departure to departure', async () => {
  const { clock, member } = start(30)
  await clock.advance(1600)
  assert.deepEqual(member.askedAtMs, [0, 500, 1000, 1500])
})

test('a hurried member is probed at the fast interval', async () => {
  const { clock, member } = start(10, true)
  await clock.advance(350)
  assert.deepEqual(member.askedAtMs, [0, 100, 200, 300])
})

test('a probe longer than the interval is followed at once and never overlapped', async () => {
  const { clock, member } = start(700)
  await clock.advance(1500)
  assert.deepEqual(member.askedAtMs, [0, 700, 1400])
})

test('a kick probes at once, or right after the probe under way', async () => {
  const { clock, member, prober } = start(40)
  await clock.advance(100)
  prober.kick()
  await clock.advance(10)
  prober.kick()
  await clock.advance(100)
  assert.deepEqual(member.askedAtMs, [0, 100, 140])
})

test('a kick with a delay never puts an earlier probe off', async () => {
  const { clock, member, prober } = start(10)
  await clock.advance(490)
  prober.kick(100)
  await clock.advance(20)
  assert.deepEqual(member.askedAtMs, [0, 500])
})

test('nothing is told after a stop, and no timer is left', async () => {
  const { clock, member, results, prober } = start(40)
  await clock.advance(10)
  await prober.stop()
  await clock.advance(2000)
  assert.deepEqual([results.length, member.askedAtMs.length, member.isClosed, clock.timers], [0, 1, true, 0])
})
