import assert from 'node:assert/strict'
import test from 'node:test'
import { AgentState } from '../../../src/agent/state.ts'
import { beginSynchronous, keepStandbyNames, setSynchronousNames } from '../../../src/agent/synchronous.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { config, holding, running } from './scene.ts'

/** A standby in strict mode whose server takes what `server.takes` says. */
function scene() {
  const clock = new FakeClock()
  const state = new AgentState(config({ synchronous_mode: true, synchronous_mode_strict: true }))
  state.server = running()
  const server = { takes: true, asked: [] as (string | undefined)[] }
  const postgres = {
    setSynchronousStandbys: async (names: string | undefined) => {
      server.asked.push(names)
      return server.takes
    },
  }
  const dcs = { write: async () => ({ outcome: 'won', revision: 1n }) }
  const parts = { clock, postgres, dcs }
  const context = { parts, state, keeper: { hold: holding.hold } } as unknown as WorkContext
  return { context, server, state, keep: () => keepStandbyNames(context, Deadline.in(clock, 1_000)) }
}

const NOBODY = '__patroni_strict_sync_replica_placeholder__'
const promotion = {
  sync: { leader: 'pg2', standbys: ['pg1'], quorum: 0 },
  names: NOBODY,
  syncModRevision: 10n,
} as const

test('names that the server did not take are tried again before a promotion, which fails while it does not', async () => {
  const { context, server } = scene()
  server.takes = false
  for (const attempt of [1, 2]) {
    await assert.rejects(beginSynchronous(context, promotion), /the server does not take/)
    assert.equal(server.asked.length, attempt)
  }
  server.takes = true
  await beginSynchronous(context, promotion)
  assert.equal(server.asked.length, 3)
  await beginSynchronous(context, promotion)
  assert.equal(server.asked.length, 3, 'what it took is not set again')
})

test('a standby that did not take its names is told again each turn, and once more before its promotion', async () => {
  const { context, server, state, keep } = scene()
  server.takes = false
  await keep()
  await keep()
  assert.deepEqual(server.asked, [NOBODY, NOBODY])
  server.takes = true
  await beginSynchronous(context, promotion)
  await keep()
  assert.deepEqual(server.asked, [NOBODY, NOBODY, NOBODY])
  assert.deepEqual(state.synchronousNames, { isKnown: true, names: NOBODY })
})

test('names that are set for a server that is down are those it starts with', async () => {
  const { context, server, state } = scene()
  server.takes = false
  state.server = { ...state.server, process: 'stopped' }
  await setSynchronousNames(context, 'pg3')
  assert.deepEqual(state.synchronousNames, { isKnown: true, names: 'pg3' })
})
