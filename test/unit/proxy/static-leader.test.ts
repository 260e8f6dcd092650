import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { type CheckRule, judgeCheck } from '../../../src/health/check-verdict.ts'
import type { ProbeResult } from '../../../src/health/document.ts'
import { judgeRefusal, type MemberHealth } from '../../../src/health/verdict.ts'
import { type Leadership, unknownLeadership } from '../../../src/proxy/leadership.ts'
import { route } from '../../../src/proxy/route.ts'
import { electByChecks } from '../../../src/proxy/static-leader.ts'
import { answer, evidenceOf, membersNamed } from './facts.ts'

const rule: CheckRule = {
  rise: 2,
  fall: 3,
  intervalMs: 3000,
  timeoutMs: 8000,
  roleWhenGood: 'primary',
  accepts: code => code === 200,
}
const servers = ['pg1', 'pg2', 'pg3']

/** `+` good, `-` another code, `.` silence; one check every 3 s, the last one now. */
function checked(results: string, timeline?: number): MemberHealth {
  return [...results].reduce<MemberHealth | undefined>((health, sign, index) => {
    const sentAtMs = index * 3000
    const result: ProbeResult =
      sign === '.'
        ? { kind: 'silent', sentAtMs, why: 'nobody listens' }
        : {
            kind: 'answer',
            answer: answer({ sentAtMs, statusCode: sign === '+' ? 200 : 503, role: 'unknown', timeline }),
          }
    return judgeCheck(health, result, rule)
  }, undefined) as MemberHealth
}

function led(member: string): Leadership {
  const epoch = { clusterId: 'checks', createRevision: 5n, member }
  return { ...unknownLeadership, clusterId: 'checks', epoch, hasKey: true, seenAtMs: 0 }
}

// what it is about, believed before, checks of pg1 and pg2, [leader, takes new sessions, rivals]
const rows: readonly (readonly [
  string,
  Leadership,
  string,
  string,
  readonly [string | undefined, boolean, string],
])[] = [
  ['the first good answer after the start is enough', unknownLeadership, '+', '-', ['pg1', true, '']],
  ['nobody answers well', unknownLeadership, '-', '.', [undefined, false, '']],
  ['two answer well at the start', unknownLeadership, '+', '+', [undefined, false, 'pg1,pg2']],
  ['the leader says no once: no new sessions', led('pg1'), '++-', '---', ['pg1', false, '']],
  ['the leader is silent once: it goes on', led('pg1'), '++.', '---', ['pg1', true, '']],
  ['the leader is silent three times', led('pg1'), '++...', '-----', ['pg1', false, '']],
  [
    'another is up by the count, the old one not yet down: the other leads',
    led('pg1'),
    '++--',
    '--++',
    ['pg2', true, ''],
  ],
  ['another answered well only once', led('pg1'), '+++--', '----+', ['pg1', false, '']],
  ['another answers well, too: the present one stays', led('pg1'), '++++', '--++', ['pg1', true, 'pg2']],
]
for (const [name, before, one, two, [leader, takesNew, rivals]] of rows) {
  test(name, () => {
    const health = new Map([
      ['pg1', checked(one)],
      ['pg2', checked(two)],
    ])
    const nowMs = (one.length - 1) * 3000 + 5
    const elected = electByChecks(before, health, servers, nowMs)
    const { epoch, hasKey } = elected.believed.next
    assert.deepEqual([epoch?.member, hasKey, elected.rivals.join()], [leader, takesNew, rivals])
  })
}

for (const fall of [1, 3]) {
  test(`a burst of failed connections takes no leader down that its own check finds well: fall ${fall}`, () => {
    const limits = { ...rule, fall }
    let health = checked('++')
    for (let burst = 0; burst < 4; burst += 1) {
      const atMs = 3001 + burst * 200
      for (let each = 0; each < 5; each += 1) health = judgeRefusal(health, atMs + each, limits, 'checked')
      assert.equal(health.counter.isUp, true, 'no connection of a client decides')
      const good = answer({ sentAtMs: atMs + 100, statusCode: 200, role: 'unknown' })
      health = judgeCheck(health, { kind: 'answer', answer: good }, limits)
      assert.deepEqual([health.counter.isUp, health.leadsUntilMs > atMs + 3000], [true, true])
      const evidence = {
        leadership: led('pg1'),
        members: membersNamed('pg1'),
        health: new Map([['pg1', health]]),
      }
      assert.equal(route(evidenceOf({ nowMs: atMs + 105, ...evidence })).write?.takesNew, true)
    }
  })
}

test('a failed connection counts as one failed check at most, so that the checks after it decide sooner', () => {
  let health = judgeRefusal(checked('++'), 3001, rule, 'checked')
  health = judgeRefusal(health, 3002, rule, 'checked')
  assert.deepEqual(health.counter, { isUp: true, against: 1 })
  const bad = answer({ sentAtMs: 3101, statusCode: 503, role: 'unknown' })
  health = judgeCheck(health, { kind: 'answer', answer: bad }, rule)
  assert.deepEqual(health.counter, { isUp: true, against: 2 })
  health = judgeRefusal(health, 3150, rule, 'checked')
  assert.deepEqual(health.counter, { isUp: true, against: 2 }, 'the last word is a check’s')
  const silent: ProbeResult = { kind: 'silent', sentAtMs: 3201, why: 'nobody listens' }
  assert.equal(judgeCheck(health, silent, rule).counter.isUp, false)
})

test('documents decide between two: the higher timeline is the later leader', () => {
  const health = new Map([
    ['pg1', checked('++', 3)],
    ['pg2', checked('++', 4)],
  ])
  assert.equal(electByChecks(led('pg1'), health, servers, 3005).believed.next.epoch?.member, 'pg2')
})

test('a change of leader is a new epoch, and the same leader that comes back is the old one', () => {
  const gone = electByChecks(led('pg1'), new Map([['pg1', checked('++-')]]), servers, 6005).believed
  assert.equal(gone.change, 'key-gone')
  const back = electByChecks(gone.next, new Map([['pg1', checked('++-+')]]), servers, 9005).believed
  assert.deepEqual([back.change, back.next.epoch?.createRevision], ['key-back', 5n])
  const other = electByChecks(gone.next, new Map([['pg2', checked('+++')]]), servers, 9005).believed
  assert.deepEqual([other.change, other.next.epoch?.createRevision], ['epoch', 6n])
})

test('for all checks of three servers: one write backend at most, never past its deadline, never one that said no last', () => {
  const results = fc.string({ unit: fc.constantFrom('+', '-', '.'), minLength: 6, maxLength: 6 })
  fc.assert(
    fc.property(results, results, results, (...strings) => {
      let believed: Leadership = unknownLeadership
      for (let step = 1; step <= 6; step += 1) {
        const health = new Map(
          servers.map((name, index) => [name, checked((strings[index] ?? '').slice(0, step))]),
        )
        const nowMs = (step - 1) * 3000 + 5
        believed = electByChecks(believed, health, servers, nowMs).believed.next
        const members = membersNamed(...servers)
        const { write } = route(evidenceOf({ nowMs, leadership: believed, members, health }))
        if (write === undefined) continue
        assert.ok(write.untilMs > nowMs)
        assert.equal(write.epoch.member, believed.epoch?.member)
        const last = (strings[servers.indexOf(write.epoch.member)] ?? '').charAt(step - 1)
        assert.ok(!write.takesNew || last !== '-', `${write.epoch.member} said no last`)
      }
    }),
    { numRuns: 300 },
  )
})
