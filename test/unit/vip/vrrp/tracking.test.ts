// What checks do to an instance: rise and fall, weights, the bounds of a priority.

import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type CheckCount,
  type CountRules,
  count,
  effectivePriority,
  faultOf,
  initialCount,
  type Weighed,
} from '../../../../src/vip/vrrp/tracking.ts'

/** `+` an answer that is good, `-` one that is bad; the state after each: u, g, b. */
const counts: readonly (readonly [string, Partial<CountRules>, string, string])[] = [
  ['one good answer is enough at the start', { rise: 3 }, '+', 'g'],
  ['one bad answer is enough at the start', { fall: 3 }, '-', 'b'],
  ['with init_fail it has to rise', { rise: 3, startsFailed: true }, '++-+++', 'bbbbbg'],
  ['fall answers make it bad', { fall: 3 }, '+---', 'gggb'],
  ['a good answer in between starts the fall anew', { fall: 3 }, '+--+---', 'ggggggb'],
  ['rise answers make it good again', { rise: 3 }, '+-+++', 'gbbbg'],
  ['a bad answer in between starts the rise anew', { rise: 3 }, '-++-+++', 'bbbbbbg'],
  ['once each by default', {}, '+-+-', 'gbgb'],
]
for (const [what, part, answers, states] of counts) {
  test(`${what}: ${answers} gives ${states}`, () => {
    const rules: CountRules = { rise: 1, fall: 1, startsFailed: false, ...part }
    let now: CheckCount = initialCount(rules)
    const seen = [...answers].map(answer => {
      now = count(rules, now, answer === '+')
      return now.state[0]
    })
    assert.equal(seen.join(''), states)
  })
}

const check = (weight: number, state: Weighed['state'], isReversed = false): Weighed => {
  return { name: 'check', weight, state, isReversed }
}
const priorities: readonly (readonly [string, number, readonly Weighed[], number])[] = [
  ['a good check with a positive weight adds it', 100, [check(10, 'good')], 110],
  ['a bad one adds nothing', 100, [check(10, 'bad')], 100],
  ['one without an answer adds nothing', 100, [check(10, 'unknown')], 100],
  ['a bad check with a negative weight takes it away', 100, [check(-20, 'bad')], 80],
  ['one without an answer takes nothing away', 100, [check(-20, 'unknown')], 100],
  ['weights add up', 100, [check(10, 'good'), check(5, 'good'), check(-3, 'bad')], 112],
  ['never above 254', 250, [check(10, 'good')], 254],
  ['never below 1', 10, [check(-20, 'bad')], 1],
  ['the owner stays the owner', 255, [check(-20, 'bad'), check(10, 'good')], 255],
  ['reversed, a good check with a positive weight takes it away', 100, [check(10, 'good', true)], 90],
  ['reversed, a bad one changes nothing', 100, [check(10, 'bad', true)], 100],
  ['reversed, a bad check with a negative weight adds it', 100, [check(-10, 'bad', true)], 110],
  ['reversed, a good one changes nothing', 100, [check(-10, 'good', true)], 100],
  ['weight 0 changes no priority', 100, [check(0, 'bad')], 100],
]
for (const [what, base, checks, priority] of priorities) {
  test(`${what}: ${base} becomes ${priority}`, () => assert.equal(effectivePriority(base, checks), priority))
}

test('a check of weight 0 is a fault while it fails and before its first answer', () => {
  assert.equal(faultOf([check(0, 'bad')]), 'check fails')
  assert.match(faultOf([check(0, 'unknown')]) ?? '', /first answer/)
  assert.equal(faultOf([check(0, 'good')]), undefined)
  assert.equal(faultOf([check(0, 'bad', true)]), undefined)
  assert.equal(faultOf([check(10, 'bad'), check(-10, 'unknown')]), undefined)
})
