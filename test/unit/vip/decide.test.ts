// The election's decisions as a table: what a candidate sees, what it does.

import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type Candidate,
  decide,
  type ElectionMemory,
  type ElectionSnapshot,
  isBetter,
  noMemory,
  RANK_DELAY_MS,
} from '../../../src/vip/decide.ts'

function candidate(id: string, priority = 100, isImpaired = false): Candidate {
  return { id, name: id, priority, isImpaired }
}

const me = candidate('b')
const OURS = 7n
const THEIRS = 8n

function owner(id: string, leaseId: bigint) {
  return { id, name: id, leaseId, createRevision: 5n }
}

function snapshot(changes: Partial<ElectionSnapshot> = {}): ElectionSnapshot {
  return {
    nowMs: 10_000,
    me,
    wish: { isEligible: true, priority: 100 },
    fault: undefined,
    leaseId: OURS,
    view: { owner: undefined, candidates: [me] },
    isHeld: false,
    isTaking: false,
    preemptAfterMs: undefined,
    ...changes,
  }
}

const mine = { owner: owner('b', OURS), candidates: [me] }
const others = { owner: owner('a', THEIRS), candidates: [candidate('a'), me] }
const barred = { isEligible: false, why: 'the leader is pg2' } as const
const better = { owner: mine.owner, candidates: [me, candidate('a', 200)] }
const impaired = candidate('b', 100, true)

const rows: readonly [string, Partial<ElectionSnapshot>, string, string, string][] = [
  // what is seen, changes, rule, action, state
  [
    'a host without carrier',
    { fault: 'eth0 has no carrier', view: mine, isHeld: true },
    'host-fails',
    'leave',
    'fault',
  ],
  [
    'a host without carrier that is not eligible either',
    { fault: 'no', wish: barred },
    'host-fails',
    'leave',
    'fault',
  ],
  ['not eligible and owner', { wish: barred, view: mine, isHeld: true }, 'not-wanted', 'leave', 'barred'],
  [
    'not eligible, etcd silent',
    { wish: barred, view: undefined, isHeld: true },
    'not-wanted',
    'leave',
    'barred',
  ],
  ['etcd silent, holding', { view: undefined, isHeld: true }, 'etcd-silent', 'none', 'owner'],
  ['etcd silent, not holding', { view: undefined }, 'etcd-silent', 'none', 'starting'],
  ['our key, nothing held', { view: mine }, 'takes', 'take', 'taking'],
  ['our key, being put up', { view: mine, isTaking: true }, 'takes', 'none', 'taking'],
  ['our key, held', { view: mine, isHeld: true }, 'owns', 'none', 'owner'],
  ['our key gone, held', { isHeld: true }, 'overtaken', 'drop', 'standby'],
  ['our key gone, being put up', { isTaking: true }, 'overtaken', 'drop', 'standby'],
  ['another owns, held', { view: others, isHeld: true }, 'overtaken', 'drop', 'standby'],
  [
    'our name on a lease that is not ours, held',
    { view: { ...mine, owner: owner('b', THEIRS) }, isHeld: true },
    'overtaken',
    'drop',
    'standby',
  ],
  [
    'our key, lease lost, held',
    { view: mine, leaseId: undefined, isHeld: true },
    'overtaken',
    'drop',
    'standby',
  ],
  ['another owns', { view: others }, 'another-owns', 'none', 'standby'],
  ['nobody owns, we are alone', {}, 'elects-itself', 'acquire', 'standby'],
  ['nobody owns, no lease', { leaseId: undefined }, 'no-lease', 'none', 'starting'],
  [
    'nobody owns, a better one is there',
    { view: { owner: undefined, candidates: [me, candidate('a', 200)] } },
    'leaves-to-better',
    'none',
    'standby',
  ],
  [
    'nobody owns, a worse one is there',
    { view: { owner: undefined, candidates: [me, candidate('a', 50)] } },
    'elects-itself',
    'acquire',
    'standby',
  ],
  [
    'nobody owns, an equal one with an earlier name',
    { view: { owner: undefined, candidates: [me, candidate('a')] } },
    'leaves-to-better',
    'none',
    'standby',
  ],
  [
    'nobody owns, a better one that is impaired',
    { view: { owner: undefined, candidates: [me, candidate('a', 200, true)] } },
    'elects-itself',
    'acquire',
    'standby',
  ],
  ['owner, a better one, no preemption', { view: better, isHeld: true }, 'owns', 'none', 'owner'],
  [
    'owner, a better one, preemption in a while',
    { view: better, isHeld: true, preemptAfterMs: 1_000 },
    'hands-over-soon',
    'none',
    'owner',
  ],
  [
    'owner, a better one, preemption at once',
    { view: better, isHeld: true, preemptAfterMs: 0 },
    'hands-over',
    'give-up',
    'standby',
  ],
  [
    'owner, an equal one, preemption at once',
    { view: { ...mine, candidates: [me, candidate('a')] }, isHeld: true, preemptAfterMs: 0 },
    'owns',
    'none',
    'owner',
  ],
  [
    'impaired owner, one that is not',
    { me: impaired, view: { ...mine, candidates: [impaired, candidate('a', 1)] }, isHeld: true },
    'hands-over',
    'give-up',
    'standby',
  ],
  [
    'impaired owner, others impaired too',
    { me: impaired, view: { ...mine, candidates: [impaired, candidate('a', 100, true)] }, isHeld: true },
    'owns',
    'none',
    'owner',
  ],
]

for (const [seen, changes, rule, action, state] of rows) {
  test(`${seen}: ${rule}, ${action}`, () => {
    const decision = decide(snapshot(changes), noMemory)
    assert.deepEqual([decision.rule, decision.action, decision.state], [rule, action, state])
    assert.notEqual(decision.says, '')
  })
}

test('each rank waits its time before it takes what better candidates left', () => {
  const view = { owner: undefined, candidates: [me, candidate('a', 200), candidate('c', 150)] }
  let memory: ElectionMemory = noMemory
  const actions: string[] = []
  for (const afterMs of [0, RANK_DELAY_MS, RANK_DELAY_MS * 2 - 1, RANK_DELAY_MS * 2]) {
    const decision = decide(snapshot({ view, nowMs: 10_000 + afterMs }), memory)
    memory = decision.memory
    actions.push(decision.action)
  }
  assert.deepEqual(actions, ['none', 'none', 'none', 'acquire'])
})

test('the wait for a better candidate begins anew when there was an owner meanwhile', () => {
  const absent = { owner: undefined, candidates: [me, candidate('a', 200)] }
  const first = decide(snapshot({ view: absent }), noMemory)
  const second = decide(snapshot({ view: others, nowMs: 10_100 }), first.memory)
  const third = decide(snapshot({ view: absent, nowMs: 20_000 }), second.memory)
  assert.equal(third.action, 'none')
  assert.equal(third.againInMs, RANK_DELAY_MS)
})

test('preemption counts from when the better candidate was first seen', () => {
  const changes = { view: better, isHeld: true, preemptAfterMs: 1_000 }
  const first = decide(snapshot(changes), noMemory)
  assert.equal(first.againInMs, 1_000)
  const second = decide(snapshot({ ...changes, nowMs: 10_999 }), first.memory)
  assert.equal(second.action, 'none')
  const third = decide(snapshot({ ...changes, nowMs: 11_000 }), second.memory)
  assert.equal(third.action, 'give-up')
})

test('all candidates agree on their order', () => {
  const all = [candidate('a', 100, true), candidate('b', 90), candidate('c', 100), candidate('d', 100)]
  const order = all.toSorted((one, other) => (isBetter(one, other) ? -1 : 1)).map(({ id }) => id)
  assert.deepEqual(order, ['c', 'd', 'b', 'a'])
  for (const one of all)
    for (const other of all) if (one !== other) assert.notEqual(isBetter(one, other), isBetter(other, one))
})

test('addresses are put up only with our own lease in the owner key, whatever else is seen', () => {
  const flags = [true, false]
  for (const isHeld of flags)
    for (const isTaking of flags)
      for (const leaseId of [OURS, undefined])
        for (const view of [undefined, mine, others, better, { owner: undefined, candidates: [] }])
          for (const wish of [{ isEligible: true, priority: 100 } as const, barred])
            for (const fault of [undefined, 'no carrier']) {
              const seen = snapshot({ isHeld, isTaking, leaseId, view, wish, fault })
              const { action, state } = decide(seen, noMemory)
              const isMine = leaseId !== undefined && view?.owner?.leaseId === leaseId
              if (action === 'take') assert.ok(isMine && wish.isEligible && fault === undefined)
              if (isHeld && view !== undefined && !isMine) assert.match(action, /drop|leave/)
              if (state === 'owner') assert.ok(isHeld)
            }
})
