// Debian's keepalived and our proxy as two peers of one VRRP instance, with the same keepalived.conf, in both directions; two
// keepalived beside them are the measure.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { type Pair, type Program, VrrpStage } from '../support/vrrp-stage.ts'

const stage = await VrrpStage.open({ after })
const password = 'secret12'
const mixes: readonly (readonly [Program, Program])[] = [
  ['keepalived', 'keepalived'],
  ['pgherd', 'keepalived'],
  ['keepalived', 'pgherd'],
  ['pgherd', 'pgherd'],
]
const pairs: Pair[] = []
for (const [first, second] of mixes) pairs.push(await stage.pair(first, second, { password }))

/** Does the same to every pair at once and tells the times. */
async function measure(
  t: test.TestContext,
  what: string,
  act: (pair: Pair) => Promise<number>,
): Promise<readonly number[]> {
  const times = await Promise.all(pairs.map(act))
  const texts = times.map((ms, index) => `${pairs[index]?.name} ${Math.round(ms)} ms`)
  t.diagnostic(`${what}: ${texts.join(', ')}`)
  return times
}

/** Holds the times against those of the first pair, which is keepalived alone, too. */
async function compare(...[t, what, act]: Parameters<typeof measure>): Promise<void> {
  const times = await measure(t, what, act)
  const [alone = 0] = times
  for (const [index, ms] of times.entries()) {
    assert.ok(ms < alone * 5, `${pairs[index]?.name}: ${ms} ms, keepalived alone ${alone} ms`)
  }
}

test('alone, the lower priority becomes master, and gives way when the higher one comes, whoever runs there', async t => {
  // The start of a process of Node is in these; on a busy machine it takes longer than the election.
  await measure(t, 'start to master', pair => pair.takenBy(pair.second, () => pair.second.server.start()))
  await measure(t, 'preemption', pair => pair.takenBy(pair.first, () => pair.first.server.start()))
  for (const pair of pairs) await pair.heldBy(pair.first)
})

test('stopped in order, a master hands over by priority 0', async t => {
  await compare(t, 'orderly stop', pair => pair.takenBy(pair.second, () => pair.first.server.stop()))
  for (const pair of pairs) await pair.heldBy(pair.second)
})

test('back again, the higher priority preempts', async t => {
  await measure(t, 'back again', pair => pair.takenBy(pair.first, () => pair.first.server.start()))
  for (const pair of pairs) await pair.heldBy(pair.first)
})

test('killed, a master is missed after three adverts; ours leaves no address behind', async t => {
  await compare(t, 'SIGKILL', pair => pair.takenBy(pair.second, () => pair.first.host.kill()))
  for (const pair of pairs) {
    const isOurs = pair.first.program === 'pgherd'
    if (isOurs) await pair.heldBy(pair.second)
    else await pair.heldBy(pair.first, pair.second)
  }
})
