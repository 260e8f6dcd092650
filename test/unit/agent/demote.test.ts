import assert from 'node:assert/strict'
import test from 'node:test'
import { demote } from '../../../src/agent/demote.ts'
import type { PeerAnswer } from '../../../src/agent/snapshot.ts'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import { AgentState } from '../../../src/agent/state.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import type { Lsn } from '../../../src/cluster/lsn.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import type { Write } from '../../../src/dcs/dcs.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import type { StopOptions } from '../../../src/postgres/port.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { aside, withoutScripts } from './aside.ts'
import { holding, ledByUs, peer, streamedBy } from './scene.ts'

interface Setting {
  readonly checkpointLsn?: Lsn | undefined
  readonly peers: () => readonly PeerAnswer[]
  readonly config?: object
  readonly sync?: string
  readonly isStuck?: boolean
}

/** pg2 leads and is to hand over; what happened is in the lists. */
function setting({ checkpointLsn, peers, config = {}, sync, isStuck = false }: Setting) {
  const clock = new FakeClock()
  const state = new AgentState(dynamicConfig({ ...config }, true))
  state.server = streamedBy('pg1', 'pg3')
  state.view = ledByUs(sync === undefined ? {} : { sync })
  state.lastView = state.view
  const happened: string[] = []
  const stops: StopOptions[] = []
  const told: string[] = []
  const keeper = {
    hold: holding.hold as typeof holding.hold | undefined,
    release: async () => {
      keeper.hold = undefined
      happened.push('released')
      return 'won'
    },
  }
  const parts = {
    ...withoutScripts,
    local: { name: 'pg2' },
    clock,
    log: silentLogger,
    events: { record: ({ kind }: { kind: string }) => void happened.push(kind) },
    askPeers: async () => peers(),
    dcs: {
      write: async (_conditions: unknown, [write]: readonly Write[]) => {
        happened.push(`${write?.kind} ${write?.kind === 'delete-prefix' ? '' : write?.key}`)
        return { outcome: 'won', revision: 1n }
      },
    },
    postgres: {
      stop: async (options: StopOptions) => {
        stops.push(options)
        happened.push('stopped')
        return { stopped: !isStuck, shutdownCheckpointLsn: checkpointLsn }
      },
    },
  }
  const fence = { disarm: () => {} }
  const context = { parts, state, keeper, fence, ...aside(told) } as unknown as WorkContext
  return { clock, context, happened, stops, told }
}

const to = (...heirs: string[]) => ({ mode: 'graceful', release: true, heirs }) as const

async function finish<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let isDone = false
  const done = work.finally(() => {
    isDone = true
  })
  while (!isDone) await clock.advance(100)
  return done
}

test('a switchover gives the key away once an heir has the last checkpoint', async () => {
  const { clock, context, happened } = setting({
    checkpointLsn: 2000n,
    peers: () => [peer('pg3', { walPosition: 2120n })],
  })
  const update = await finish(clock, demote(context, to('pg3')))
  assert.deepEqual(happened, ['stopped', 'released'])
  assert.equal(update(firstMemory).role, 'demoted')
})

const nobody: readonly [string, () => readonly PeerAnswer[]][] = [
  ['the heir lacks the last checkpoint', () => [peer('pg3', { walPosition: 2000n })]],
  ['the heir does not answer any more', () => [peer('pg3', { isReachable: false })]],
  ['only a nofailover member has it', () => [peer('pg3', { walPosition: 2120n, mayLead: false })]],
]

for (const [situation, peers] of nobody) {
  test(`${situation}: the key stays, the request is cleared, the server comes back in place`, async () => {
    const { clock, context, happened } = setting({ checkpointLsn: 2000n, peers })
    const update = await finish(clock, demote(context, to('pg3')))
    assert.deepEqual(happened, ['stopped', 'handover-refused', 'put failover', 'delete pgherd/closing'])
    assert.equal(update(firstMemory).role, 'primary')
  })
}

test('a stop of the agent gives the key away after the stop, whoever has what', async () => {
  const { clock, context, happened } = setting({ checkpointLsn: 2000n, peers: () => [] })
  await finish(clock, demote(context, { mode: 'graceful', release: true, heirs: undefined }))
  assert.deepEqual(happened, ['stopped', 'released'])
})

test('primary_stop_timeout cuts a slow stop short in a synchronous mode, and a synchronous heir needs no checkpoint', async () => {
  const { clock, context, happened, stops } = setting({
    checkpointLsn: undefined,
    peers: () => [peer('pg3')],
    config: { synchronous_mode: true, primary_stop_timeout: 7 },
    sync: '{"leader":"pg2","quorum":0,"sync_standby":"pg3"}',
  })
  await finish(clock, demote(context, to('pg3')))
  assert.equal(Math.round(stops[0]?.by.atMs ?? 0), 7_000)
  assert.deepEqual(happened, ['stopped', 'released'])
})

test('without a synchronous mode primary_stop_timeout means nothing, and an unclean end goes to nobody', async () => {
  const { clock, context, happened, stops } = setting({
    checkpointLsn: undefined,
    peers: () => [peer('pg3', { walPosition: 9000n })],
    config: { primary_stop_timeout: 7 },
  })
  await finish(clock, demote(context, to('pg3')))
  assert.equal(stops[0]?.by.atMs, 3_600_000)
  assert.deepEqual(happened, ['stopped', 'handover-refused', 'put failover', 'delete pgherd/closing'])
})

test('the watchdog is disarmed when the server has stopped, not before, and callbacks are told of it', async () => {
  const { clock, context, happened, told } = setting({ peers: () => [] })
  await finish(clock, demote(context, { mode: 'immediate', release: true, heirs: undefined }))
  assert.deepEqual(happened, ['stopped', 'released'])
  assert.deepEqual(told, ['watchdog disarmed', 'on_stop as it was'])
})

test('processes that cannot be ended leave the watchdog armed: it resets the machine', async () => {
  const { clock, context, told } = setting({ peers: () => [], isStuck: true })
  await finish(clock, demote(context, { mode: 'immediate', release: true, heirs: undefined }))
  assert.deepEqual(told, [])
})

test('an ordered change of the leader is told as the stop of a demoted server', async () => {
  const { clock, context, told } = setting({
    checkpointLsn: 2000n,
    peers: () => [peer('pg3', { walPosition: 2120n })],
  })
  await finish(clock, demote(context, to('pg3')))
  assert.ok(told.includes('on_stop demoted'), told.join(', '))
})

test('a leader that gives way while its processes are stuck in the kernel gives the key up', async () => {
  const { clock, context, happened } = setting({ peers: () => [], isStuck: true })
  await finish(clock, demote(context, { mode: 'immediate', release: true, heirs: undefined }))
  assert.deepEqual(happened, ['stopped', 'released'])
})

test('an ordered change whose processes are stuck keeps the key: nobody has shown that he has everything', async () => {
  const { clock, context, happened } = setting({ peers: () => [], isStuck: true })
  await finish(clock, demote(context, to('pg1')))
  assert.deepEqual(happened, ['stopped'])
})
