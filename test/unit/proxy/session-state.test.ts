import assert from 'node:assert/strict'
import test from 'node:test'
import {
  checkStep,
  type SessionState,
  sessionStates,
  sessionSteps,
} from '../../../src/proxy/session-state.ts'

test('every pair of states is either allowed by the table or an error', () => {
  for (const from of sessionStates) {
    for (const to of sessionStates) {
      const step = () => checkStep(from, to)
      if (sessionSteps[from].includes(to)) step()
      else assert.throws(step, new RegExp(`cannot go from ${from} to ${to}`))
    }
  }
})

test('every state leads to closed, and closed leads nowhere', () => {
  const reaches = (from: SessionState, seen: ReadonlySet<SessionState> = new Set()): boolean =>
    from === 'closed' ||
    sessionSteps[from].some(next => !seen.has(next) && reaches(next, new Set([...seen, next])))
  assert.ok(sessionStates.every(state => reaches(state)))
  assert.deepEqual(sessionSteps.closed, [])
})

test('a session that streams never goes back to the queue: its server has seen its bytes', () => {
  assert.ok(!sessionSteps.streaming.includes('held'))
  assert.ok(!sessionSteps.draining.includes('streaming'))
})
