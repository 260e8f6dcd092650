import assert from 'node:assert/strict'
import test from 'node:test'
import { restartServer } from '../../../src/agent/restart.ts'
import { firstMemory } from '../../../src/agent/snapshot.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { parsePeerAnswer } from '../../../src/health/peer.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { primaryFacts, standbyFacts, threeMembers, viewOf } from '../../support/agent-status.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { aside, withoutScripts } from './aside.ts'

interface Scene {
  /** What the server was told, in order. */
  readonly said: string[]
  readonly clock: FakeClock
  readonly lease: { leftMs: number }
  /** Aborted: the fence acts. */
  readonly fencing: AbortController
  readonly whileStopping: (() => void)[]
  readonly whileStarting: (() => void)[]
  readonly context: WorkContext
  readonly run: (timeoutMs?: number, passMs?: number) => ReturnType<typeof restartServer>
}

/** `start` decides what becomes of a start: true, false, or waiting for its signal. */
function scene(
  role: 'primary' | 'replica',
  start: boolean | 'waits',
  peers: readonly ReturnType<typeof parsePeerAnswer>[] = [],
): Scene {
  const said: string[] = []
  const tags = {}
  const whileStopping: (() => void)[] = []
  const whileStarting: (() => void)[] = []
  const clock = new FakeClock()
  const fencing = new AbortController()
  const lease = { leftMs: role === 'primary' ? 5_000 : 0 }
  const me = role === 'primary' ? 'pg1' : 'pg2'
  const postgres = {
    stop: async ({ mode }: { readonly mode: string }) => {
      said.push(`stop ${mode}`)
      for (const happen of whileStopping) happen()
      return { stopped: true, shutdownCheckpointLsn: undefined }
    },
    start: (as: string, upstream: { readonly member: string } | undefined, signal: AbortSignal) => {
      said.push(`start ${as}${upstream === undefined ? '' : ` behind ${upstream.member}`}`)
      for (const happen of whileStarting) happen()
      if (start !== 'waits') return Promise.resolve(start)
      return new Promise<boolean>(resolve => signal.addEventListener('abort', () => resolve(false)))
    },
  }
  const view = viewOf(threeMembers)
  const facts = role === 'primary' ? primaryFacts : standbyFacts
  const context = {
    parts: {
      postgres,
      clock,
      log: silentLogger,
      ...withoutScripts,
      local: { name: me, tags },
      events: { record: ({ kind }: { readonly kind: string }) => said.push(kind) },
      askPeers: async () => peers,
    },
    state: {
      server: { facts },
      memory: { ...firstMemory, cleanAgainst: view.leader?.createRevision },
      lastView: view,
      view,
      config: dynamicConfig({}, true),
      isStopExpected: false,
    },
    keeper: {
      leftMs: () => lease.leftMs,
      hold: role === 'primary' ? { name: 'pg1' } : undefined,
      release: async () => {
        said.push('release')
        return 'won'
      },
    },
    ...aside(),
    fence: {
      arm: () => said.push('arm'),
      disarm: () => said.push('disarm'),
      signal: fencing.signal,
      get isActing() {
        return fencing.signal.aborted
      },
    },
  } as unknown as WorkContext
  const run = async (timeoutMs = 60_000, passMs = 0) => {
    const running = restartServer(context, timeoutMs, new AbortController().signal)
    await clock.advance(passMs)
    return running
  }
  return { said, clock, lease, fencing, whileStopping, whileStarting, context, run }
}

test('a leader stops in order and starts as a primary under the fence', async () => {
  const { run, said } = scene('primary', true)
  assert.equal((await run()).outcome, 'restarted')
  assert.deepEqual(said, ['stop fast', 'arm', 'start primary'])
})

test('a standby starts behind the leader and arms nothing', async () => {
  const { run, said } = scene('replica', true)
  assert.equal((await run()).outcome, 'restarted')
  assert.deepEqual(said, ['stop fast', 'start replica behind pg1'])
})

test('a standby whose history was not compared in this term of the leader starts alone', async () => {
  const { run, said, context } = scene('replica', true)
  context.state.memory = { ...firstMemory, cleanAgainst: 1n }
  assert.equal((await run()).outcome, 'restarted')
  assert.deepEqual(said, ['stop fast', 'start replica'])
})

test('a standby that streams from nobody is not started behind the leader', async () => {
  const { run, said, context } = scene('replica', true)
  Object.assign(context.parts.local.tags, { nostream: true })
  await run()
  assert.deepEqual(said, ['stop fast', 'start replica'])
})

test('a leader whose lease ended while it stopped does not start as a primary, and is not left down', async () => {
  const { run, said, lease, whileStopping } = scene('primary', true)
  whileStopping.push(() => {
    lease.leftMs = 0
  })
  const { outcome, update } = await run()
  assert.equal(outcome, 'failed')
  assert.deepEqual(said, ['stop fast'])
  const after = update({ ...firstMemory, role: 'primary' })
  assert.deepEqual([after.role, after.isOursToStart], ['demoted', true])
})

test('a primary whose lease does not hold is not stopped: it could not come back', async () => {
  const { run, said, lease } = scene('primary', true)
  lease.leftMs = 0
  const { outcome, update } = await run()
  assert.deepEqual([outcome, said, update(firstMemory)], ['failed', [], firstMemory])
})

test('paused: a primary without a lease is restarted as what it was, and no fence is armed for it', async () => {
  const { run, said, lease, context } = scene('primary', true)
  context.state.config = dynamicConfig({ pause: true }, true)
  lease.leftMs = 0
  const { outcome } = await run()
  assert.deepEqual([outcome, said], ['restarted', ['stop fast', 'start primary']])
})

test('a pause that ends while a primary without a lease starts ends the start, or the server that has just come up', async () => {
  for (const [start, wanted] of [
    ['waits', ['stop fast', 'start primary', 'arm']],
    [true, ['stop fast', 'start primary', 'stop immediate', 'disarm']],
  ] as const) {
    const { run, said, lease, context, whileStarting } = scene('primary', start)
    context.state.config = dynamicConfig({ pause: true }, true)
    lease.leftMs = 0
    whileStarting.push(() => {
      context.state.config = dynamicConfig({}, true)
    })
    const { outcome, update } = await run(60_000, 2_000)
    assert.deepEqual([outcome, said], ['failed', wanted])
    assert.equal(update({ ...firstMemory, role: 'primary' }).role, 'demoted')
  }
})

test('paused, a primary that does not come up in time keeps what it has: nobody could be elected', async () => {
  const { run, said, context } = scene('primary', 'waits', [close])
  context.state.config = dynamicConfig({ pause: true }, true)
  assert.equal((await run(1_000, 5_000)).outcome, 'still-starting')
  assert.deepEqual(said, ['stop fast', 'start primary'])
})

test('a start that is under way is called off when the lease ends', async () => {
  const { run, said, lease, clock } = scene('primary', 'waits')
  clock.setTimer(500, () => {
    lease.leftMs = 0
  })
  const { outcome, update } = await run(60_000, 2_000)
  assert.equal(outcome, 'failed')
  assert.deepEqual(said, ['stop fast', 'arm', 'start primary'])
  assert.equal(update({ ...firstMemory, role: 'primary' }).role, 'demoted')
})

test('a start that is under way is called off at once when the fence acts, before the lease has ended', async () => {
  const { run, said, lease, fencing, clock } = scene('primary', 'waits')
  const beganAtMs = clock.monotonicMs()
  clock.setTimer(505, () => fencing.abort(new Error('fence')))
  clock.setTimer(1_000, () => {
    lease.leftMs = 0
  })
  let tookMs = 0
  const running = run().then(result => {
    tookMs = clock.monotonicMs() - beganAtMs
    return result
  })
  await clock.advance(505)
  await clock.advance(1_000)
  const { outcome, update } = await running
  assert.deepEqual([outcome, tookMs], ['failed', 505])
  assert.deepEqual(said, ['stop fast', 'arm', 'start primary'])
  assert.equal(update({ ...firstMemory, role: 'primary' }).role, 'demoted')
})

test('a leader whose fence acts while it stops does not start as a primary', async () => {
  const { run, said, fencing, whileStopping } = scene('primary', true)
  whileStopping.push(() => fencing.abort(new Error('fence')))
  assert.equal((await run()).outcome, 'failed')
  assert.deepEqual(said, ['stop fast'])
})

const close = parsePeerAnswer('pg2', { role: 'replica', xlog: { received_location: 0x3000100n } })
const far = parsePeerAnswer('pg3', { role: 'replica', xlog: { received_location: 0x100n } })
const alsoClose = parsePeerAnswer('pg3', { role: 'replica', xlog: { received_location: 0x3000100n } })
const never = parsePeerAnswer('pg3', {
  role: 'replica',
  xlog: { received_location: 0x3000200n },
  tags: { nofailover: true },
})

test('a leader that does not come up in time hands over to somebody who can serve', async () => {
  const { run, said } = scene('primary', 'waits', [far, close])
  assert.equal((await run(1_000, 5_000)).outcome, 'still-starting')
  assert.deepEqual(said, [
    ...['stop fast', 'arm', 'start primary', 'restart-too-slow', 'stop immediate', 'disarm', 'release'],
  ])
})

test('without anybody who can serve it keeps its key and goes on starting', async () => {
  const { run, said } = scene('primary', 'waits', [far, never])
  assert.equal((await run(1_000, 5_000)).outcome, 'still-starting')
  assert.deepEqual(said, ['stop fast', 'arm', 'start primary'])
})

test('the position of a server that was down before is what it published last: nobody far behind it is an heir', async () => {
  const { run, said, context } = scene('primary', 'waits', [far])
  context.state.server = { ...context.state.server, facts: undefined }
  context.state.memory = { ...firstMemory, role: 'primary' }
  assert.equal((await run(1_000, 5_000)).outcome, 'still-starting')
  assert.deepEqual(said, ['stop fast', 'arm', 'start primary'])
})

test('with a quorum it hands over only if enough voters answer', async () => {
  for (const [answers, isGiven] of [
    [[close], false],
    [[close, alsoClose], true],
  ] as const) {
    const { run, said, context } = scene('primary', 'waits', answers)
    context.state.config = dynamicConfig({ synchronous_mode: 'quorum' }, true)
    const sync = JSON.stringify({ leader: 'pg1', quorum: 1, sync_standby: 'pg2,pg3' })
    context.state.lastView = viewOf({ ...threeMembers, sync })
    await run(1_000, 5_000)
    assert.equal(said.includes('release'), isGiven)
  }
})

test('a start that fails is a failed restart, and the loop goes on from there', async () => {
  const { run } = scene('primary', false)
  const { outcome, update } = await run()
  assert.deepEqual([outcome, update(firstMemory).isOursToStart], ['failed', true])
})
