// The control thread in a busy loop: the evidence for the sessions' server ends meanwhile, and nobody tells the workers.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import type { Threads } from '../../src/proxy/threads/threads.ts'
import { rig, untilEmpty } from './proxy-listener-rig.ts'
import { Far, machineMs, standStill } from './proxy-threads-rig.ts'

const BUSY = 20
const QUIET = 20

/** Twenty busy sessions, and twenty in which nothing moves, end by themselves while this thread, which is the control thread, does nothing for `stallMs`. */
export async function endsWhileStalled(t: TestContext, threads: Threads, stallMs: number): Promise<void> {
  const far = await Far.open(t)
  const made = await rig(t, { transport: threads })
  const backend = new Backend('pg1', far.address, realClock)
  made.backends = [backend]
  await far.connect(made.address, BUSY, QUIET)
  const [one = 0, two = 0] = threads.sessions.map(({ sessions }) => sessions)
  assert.ok(one > 0 && two > 0, `${one} and ${two}`)
  backend.gate.untilMs = realClock.monotonicMs() + 500
  const endsAtMs = machineMs() + 500
  standStill(stallMs)
  const awakeAtMs = machineMs()
  const { clients, lastAskedAtMs } = await far.look()
  const lastAnswerAtMs = Math.max(...clients.map(client => client.lastAnswerAtMs))
  const quietEnds = clients.filter(({ isQuiet }) => isQuiet).map(({ endedAtMs }) => endedAtMs ?? Number.NaN)
  const [firstQuietAtMs, lastQuietAtMs] = [Math.min(...quietEnds), Math.max(...quietEnds)]
  const lastEndAtMs = Math.max(...clients.map(({ endedAtMs }) => endedAtMs ?? Number.POSITIVE_INFINITY))
  const after = (ms: number) => (ms - endsAtMs).toFixed(1)
  t.diagnostic(
    `after the end of the evidence: last byte to the server ${after(lastAskedAtMs)} ms, last answer ${after(lastAnswerAtMs)} ms, quiet sessions over ${after(firstQuietAtMs)} to ${after(lastQuietAtMs)} ms, last session over ${after(lastEndAtMs)} ms, control thread back ${after(awakeAtMs)} ms`,
  )
  // They were busy until then, and what was written in the last moment needs another to arrive.
  assert.ok(lastAskedAtMs > endsAtMs - 250, `asked until ${after(lastAskedAtMs)} ms`)
  assert.ok(lastAskedAtMs < endsAtMs + 250, `a byte came ${after(lastAskedAtMs)} ms later`)
  assert.ok(lastAnswerAtMs < endsAtMs + 250, `an answer came ${after(lastAnswerAtMs)} ms later`)
  // No byte of theirs finds the gate closed: their thread looks every 50 ms. The goal is 100 ms, and the
  // loop above takes one of the processors that everybody needs: a margin of five.
  assert.equal(quietEnds.length, QUIET)
  assert.ok(firstQuietAtMs >= endsAtMs - 1, `a quiet session ended ${after(firstQuietAtMs)} ms later`)
  assert.ok(lastQuietAtMs < endsAtMs + 500, `the last quiet session ended ${after(lastQuietAtMs)} ms later`)
  assert.ok(lastEndAtMs < awakeAtMs - 1_000, `the last session ended ${after(lastEndAtMs)} ms later`)
  assert.ok(clients.every(({ code }) => code === '57P01'))
  await untilEmpty(made)
  assert.ok(
    made.ended.every(why => why === 'evidence-expired'),
    made.ended.join(),
  )
}
