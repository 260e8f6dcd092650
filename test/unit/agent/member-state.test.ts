// The state that others read of a member, by what is known of its server.

import assert from 'node:assert/strict'
import test from 'node:test'
import { AgentState, memberState, troubleOf } from '../../../src/agent/state.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import type { ServerStatus } from '../../../src/postgres/port.ts'
import { running } from './scene.ts'

function stateOf(server: Partial<ServerStatus>): AgentState {
  const state = new AgentState(dynamicConfig({}, true))
  state.server = { ...running(), ...server }
  return state
}

const silent = { facts: undefined, trouble: 'no answer in time' }
// what is known, state, trouble that is told
const rows: readonly (readonly [string, Partial<ServerStatus>, string, string | undefined])[] = [
  ['answers', {}, 'running', undefined],
  ['runs and does not answer', silent, 'unknown', 'no answer in time'],
  [
    'runs and does not let us in',
    { facts: undefined, isAnswering: true, trouble: 'password authentication failed' },
    'unknown',
    'password authentication failed',
  ],
  ['starts', { ...silent, process: 'starting' }, 'starting', 'no answer in time'],
  ['stops', { ...silent, process: 'stopping' }, 'stopping', 'no answer in time'],
  ['does not run', { ...silent, process: 'stopped' }, 'stopped', undefined],
]
for (const [what, server, state, trouble] of rows) {
  test(`a member whose server ${what} is told as ${state}`, () => {
    const known = stateOf(server)
    assert.equal(memberState(known, undefined), state)
    assert.equal(troubleOf(known)['trouble'], trouble)
  })
}
