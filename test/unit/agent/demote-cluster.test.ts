// A primary whose cluster is told to follow another one: what it does, in which order, and when it does not.

import assert from 'node:assert/strict'
import test from 'node:test'
import { demoteCluster } from '../../../src/agent/demote-cluster.ts'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import { AgentState } from '../../../src/agent/state.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { StopOptions } from '../../../src/postgres/port.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { aside } from './aside.ts'
import { holding, streamedBy } from './scene.ts'

function setting(isStopped: boolean) {
  const happened: string[] = []
  const state = new AgentState(dynamicConfig({ standby_cluster: { host: 'far' } }, true))
  state.server = streamedBy('pg1')
  const parts = {
    clock: new FakeClock(),
    log: silentLogger,
    local: { name: 'pg2', scripts: {} },
    dcs: {},
    settingsFor: () => ({ scripts: { callbacks: {}, prePromote: undefined, beforeStop: 'drain' } }),
    runScript: async (line: string) => {
      happened.push(`ran ${line}`)
      return { kind: 'exited', code: 0 }
    },
    events: { record: ({ kind }: { readonly kind: string }) => void happened.push(kind) },
    postgres: {
      stop: async ({ mode, checkpointFirst }: StopOptions) => {
        happened.push(`stop ${mode}${checkpointFirst ? ' after a checkpoint' : ''}`)
        return { stopped: isStopped, shutdownCheckpointLsn: undefined }
      },
      archiveEnd: async () => void happened.push('archived'),
    },
  }
  const keeper = { hold: holding.hold, release: () => void happened.push('released') }
  const fence = {
    disarm: () => void happened.push('fence off'),
    isActing: false,
    signal: new AbortController().signal,
  }
  const context = { parts, state, keeper, fence, ...aside(happened) } as unknown as WorkContext
  return { happened, run: () => demoteCluster(context, new AbortController().signal) }
}

test('it stops in order, archives what is left, keeps the key, and comes back as a standby', async () => {
  const { happened, run } = setting(true)
  const memory = (await run())({ ...firstMemory, role: 'primary', cleanAgainst: 5n })
  assert.deepEqual(happened, [
    'ran drain',
    'stop fast after a checkpoint',
    'fence off',
    'watchdog disarmed',
    'on_stop demoted',
    'archived',
    'cluster-demoted',
  ])
  assert.deepEqual([memory.role, memory.cleanAgainst, memory.isOursToStart], ['replica', undefined, true])
})

test('a server that cannot be stopped stays under the fence and the watchdog, and nothing is archived', async () => {
  const { happened, run } = setting(false)
  await assert.rejects(run(), /could not be stopped: the cluster is not demoted yet/)
  assert.deepEqual(happened, ['ran drain', 'stop fast after a checkpoint'])
})
