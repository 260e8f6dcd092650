// What a rewind teaches: whose its server is to start, also when a pause overtook it, and whether it is tried again.

import assert from 'node:assert/strict'
import test from 'node:test'
import { firstMemory, type Memory } from '../../../src/agent/snapshot.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { Work, type WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { RewindResult } from '../../../src/postgres/port.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { down, running, view } from './scene.ts'

const done = { ok: true, isFinal: false }
const refused = { ok: false, isFinal: true }
const notYet = { ok: false, isFinal: false }
const START_MS = new FakeClock().monotonicMs()
const leader = { member: 'pg1', address: { host: '10.0.0.1', port: 5432 } }

async function afterRewind(
  wasRunning: boolean,
  outcome: Pick<RewindResult, 'ok' | 'isFinal'>,
  before: Memory = firstMemory,
): Promise<Memory> {
  const state = new AgentState(dynamicConfig({}, true))
  state.view = view()
  state.server = wasRunning ? running() : down()
  state.divergence = { kind: 'diverged', at: 900n, localEnd: 1000n }
  const result: RewindResult = { ...outcome, discardedBytes: 100n, says: 'it says' }
  const context = {
    parts: {
      clock: new FakeClock(),
      log: silentLogger,
      local: { name: 'pg2' },
      events: { record: () => {} },
      postgres: { rewind: async () => result },
    },
    state,
    callbacks: { stopped: () => {} },
  } as unknown as WorkContext
  const plan = new Work(context).plan({ kind: 'rewind', leader })
  return (await plan.work(new AbortController().signal))(before)
}

test('a server that was rewound is ours to start, also when the cluster was paused meanwhile', async () => {
  assert.equal((await afterRewind(true, done)).isOursToStart, true)
  assert.equal((await afterRewind(false, done)).isOursToStart, true)
})

test('after a rewind that failed the server is left to the operator of the pause', async () => {
  assert.equal((await afterRewind(true, refused)).isOursToStart, false)
})

test('a rewind that could not begin is tried again after a pause that doubles, and counts against no term of the leader', async () => {
  let memory = firstMemory
  const pauses: (number | undefined)[] = []
  for (let tries = 1; tries <= 7; tries += 1) {
    memory = await afterRewind(true, notYet, memory)
    pauses.push(memory.rewindPause?.untilMs)
  }
  assert.deepEqual(
    pauses,
    [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000].map(ms => START_MS + ms),
  )
  assert.deepEqual([memory.rewindFailedAgainst, memory.isOursToStart], [undefined, true])
  assert.equal((await afterRewind(false, done, memory)).rewindPause, undefined)
})

test('a rewind that pg_rewind itself gave up counts for the whole term of the leader', async () => {
  assert.equal((await afterRewind(true, refused)).rewindFailedAgainst, 100n)
})
