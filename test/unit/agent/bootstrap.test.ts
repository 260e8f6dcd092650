import assert from 'node:assert/strict'
import test from 'node:test'
import { bootstrapCluster } from '../../../src/agent/bootstrap.ts'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import { AgentState } from '../../../src/agent/state.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import type { Outcome, Write } from '../../../src/dcs/dcs.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { aside } from './aside.ts'
import { SYSTEM_ID } from './scene.ts'

interface Setting {
  /** How the claim ends, and whether it was applied. */
  readonly claim: Outcome
  readonly isApplied?: boolean
  readonly lead?: Outcome
  /** The lead was taken although its answer did not come. */
  readonly isLeading?: boolean
  readonly config?: object
}

/** pg1 finds an empty scope; what it did is in the list. */
async function bootstrap({ claim, isApplied = true, lead = 'won', isLeading = false, config = {} }: Setting) {
  const happened: string[] = []
  const state = new AgentState(dynamicConfig({ ...config }, true))
  let mark = ''
  const dcs = {
    write: async (_conditions: unknown, writes: readonly Write[]) => {
      happened.push(writes.map(write => `${write.kind} ${'key' in write ? write.key : ''}`).join(', '))
      const [, put] = writes
      if (put?.kind === 'put') mark = put.value
      return { outcome: happened.length === 1 ? claim : 'won', revision: claim === 'won' ? 7n : undefined }
    },
    read: async () => ({
      own: new Map(isApplied ? [['claim', { value: mark }]] : []),
      initialize: isApplied ? { value: '', createRevision: 7n } : undefined,
      leader: isLeading ? { name: 'pg1' } : undefined,
    }),
  }
  const keeper = {
    ask: () => ({ seen: undefined, atMs: 0, sleptMs: 0 }),
    hold: { createRevision: 9n },
    acquire: async (
      _by: unknown,
      _writes: unknown,
      [condition]: readonly { readonly revision: bigint }[],
    ) => {
      happened.push(`lead if claimed at ${condition?.revision}`)
      return lead
    },
    adopt: () => isLeading,
  }
  const postgres = {
    bootstrap: async () => SYSTEM_ID,
    configure: async () => false,
    clone: async ({ member }: { readonly member: string }) => void happened.push(`copied ${member}`),
    start: async (as: string, { member }: { readonly member: string }) => {
      happened.push(`started as ${as} of ${member}`)
      return true
    },
    controlData: async () => ({ systemId: SYSTEM_ID }),
    stop: async () => ({ stopped: true }),
    setAside: async () => '/data.failed',
  }
  const local = { name: 'pg1', bootstrap: { dcs: {} } }
  const fence = { arm: () => void happened.push('armed'), disarm: () => {} }
  const parts = {
    dcs,
    postgres,
    local,
    clock: new FakeClock(),
    log: silentLogger,
    events: { record: () => {} },
    settingsFor: () => ({}),
  }
  const context = { parts, state, keeper, fence, ...aside() } as unknown as WorkContext
  const update = await bootstrapCluster(context, new AbortController().signal)
  return { happened, exitCode: state.exitCode, memory: update(firstMemory) }
}

const claims = 'put initialize, put pgherd/claim'

test('a claim whose answer did not come, but which is there and ours, goes on', async () => {
  const { happened, exitCode } = await bootstrap({ claim: 'unknown' })
  assert.deepEqual(happened, [claims, 'lead if claimed at 7', 'armed'])
  assert.equal(exitCode, undefined)
})

test('a claim whose answer did not come and which is not there is left to whoever comes', async () => {
  assert.deepEqual((await bootstrap({ claim: 'unknown', isApplied: false })).happened, [claims])
})

test('a lead that was taken although its answer did not come keeps what was made', async () => {
  const { happened, exitCode } = await bootstrap({ claim: 'won', lead: 'unknown', isLeading: true })
  assert.deepEqual(happened, [claims, 'lead if claimed at 7', 'armed'])
  assert.equal(exitCode, undefined)
})

test('a lead that somebody else has, or that is not there, gives the scope back and ends', async () => {
  for (const lead of ['lost', 'unknown'] as const) {
    const { happened, exitCode } = await bootstrap({ claim: 'won', lead })
    assert.deepEqual(happened, [claims, 'lead if claimed at 7', 'delete initialize, delete pgherd/claim'])
    assert.equal(exitCode, 1)
  }
})

test('a standby cluster begins as a copy of the other one; no fence is armed, for nothing is written there', async () => {
  const config = { standby_cluster: { host: 'far' } }
  const { happened, memory } = await bootstrap({ claim: 'won', config })
  const made = ['copied far:5432', 'started as replica of far:5432']
  assert.deepEqual(happened, [claims, ...made, 'lead if claimed at 7'])
  assert.deepEqual([memory.role, memory.cleanAgainst], ['replica', -9n])
})
