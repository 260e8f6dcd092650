// A watchdog in the hands of a leader, on a device that the test holds.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Watchdog } from '../../../src/agent/watchdog.ts'
import type { WatchdogConfig } from '../../../src/config/agent/types.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const TTL_MS = 30_000

/** A leader's watchdog; `happened` has what the device was told. */
function scene(changes: Partial<WatchdogConfig> = {}) {
  const clock = new FakeClock()
  const happened: string[] = []
  const said: string[] = []
  const note = (text: string) => void said.push(text)
  const trouble = {
    call: undefined as string | undefined,
    fixedSeconds: 0,
    hangs: false,
    canBeDisarmed: true,
    /** What happens while the device takes another timeout. */
    whileSet: () => {},
  }
  let timeoutSeconds = 60
  const call = async (what: string) => {
    if (trouble.hangs) await new Promise(() => {})
    if (trouble.call !== undefined) throw new Error(trouble.call)
    happened.push(what)
  }
  const keeper = {
    ttlMs: TTL_MS,
    timings: { ttlMs: TTL_MS, loopWaitMs: 10_000, retryTimeoutMs: 10_000 },
    hold: { name: 'pg1', createRevision: 7n, modRevision: 7n, leaseId: 1n },
    left: 20_000,
    primaryLeftMs: () => keeper.left,
    provenSinceMs: 0,
  }
  const state = {
    config: {
      mode: 'required',
      device: '/dev/watchdog',
      safetyMarginSeconds: 5,
      driver: 'default',
      ...changes,
    } as WatchdogConfig,
    isFencing: false,
    isWritable: true,
  }
  const watchdog = new Watchdog({
    watchdogs: {
      device: () => ({
        isStuck: false,
        open: async by => {
          await by.run('open', () => call('open'))
          return {
            identity: 'test',
            canSetTimeout: trouble.fixedSeconds === 0,
            canBeDisarmed: trouble.canBeDisarmed,
          }
        },
        setTimeoutSeconds: async seconds => {
          await call(`timeout ${seconds}`)
          trouble.whileSet()
          timeoutSeconds = seconds
        },
        timeoutSeconds: async () => trouble.fixedSeconds || timeoutSeconds,
        keepalive: by => by.run('keepalive', () => call('fed')),
        disarm: () => call('disarmed'),
      }),
      isWritable: async () => state.isWritable,
    },
    config: () => state.config,
    keeper,
    isFencing: () => state.isFencing,
    clock,
    log: { ...silentLogger, info: note, warning: note, error: note },
    onFed: () => {},
  })
  const prove = async () => {
    keeper.provenSinceMs = clock.monotonicMs()
    watchdog.proven()
    await clock.advance(0)
  }
  return { clock, happened, said, trouble, keeper, state, watchdog, prove }
}

test('armed with the timeout that leaves the margin, fed by each proof, disarmed once', async () => {
  const { happened, watchdog, prove } = scene()
  await watchdog.arm()
  await prove()
  await prove()
  await watchdog.standDown()
  await watchdog.standDown()
  assert.deepEqual(happened, ['open', 'timeout 25', 'fed', 'fed', 'disarmed'])
  assert.equal(watchdog.state.isArmed, false)
})

test('nothing feeds it without leadership, while the fence acts, by an old proof, or before it is armed', async () => {
  const { clock, happened, watchdog, keeper, state, prove } = scene()
  await prove()
  await watchdog.arm()
  happened.length = 0
  keeper.left = 0
  await prove()
  keeper.left = 20_000
  state.isFencing = true
  await prove()
  state.isFencing = false
  clock.jump(4_600)
  watchdog.proven()
  await clock.advance(0)
  assert.deepEqual(happened, [])
  await prove()
  assert.deepEqual(happened, ['fed'])
})

test('a lease of another ttl sets the timeout anew', async () => {
  const { happened, watchdog, keeper, prove } = scene()
  await watchdog.arm()
  keeper.ttlMs = 60_000
  keeper.timings = { ...keeper.timings, ttlMs: 60_000 }
  await prove()
  assert.deepEqual(happened, ['open', 'timeout 25', 'timeout 55', 'fed'])
})

test('what ends or ages while the device takes another timeout feeds it no more', async () => {
  const changes: Readonly<Record<string, (of: ReturnType<typeof scene>) => void>> = {
    'the lease ended': ({ keeper }) => {
      keeper.left = 0
    },
    'the fence acts': ({ state }) => {
      state.isFencing = true
    },
    'the proof grew old': ({ clock }) => clock.jump(6_100),
  }
  for (const [what, change] of Object.entries(changes)) {
    const told = scene()
    const { happened, watchdog, keeper, trouble, prove } = told
    await watchdog.arm()
    keeper.ttlMs = 60_000
    keeper.timings = { ...keeper.timings, ttlMs: 60_000 }
    trouble.whileSet = () => change(told)
    await prove()
    assert.deepEqual(happened, ['open', 'timeout 25', 'timeout 55'], what)
  }
})

test('a longer lease is fed by young proofs alone: the old timeout leaves it no more patience', async () => {
  const { clock, happened, watchdog, keeper } = scene()
  await watchdog.arm()
  keeper.ttlMs = 60_000
  keeper.timings = { ...keeper.timings, ttlMs: 60_000 }
  clock.jump(10_000)
  watchdog.proven()
  await clock.advance(0)
  assert.deepEqual(happened, ['open', 'timeout 25'])
})

test('a shorter lease sets the timeout at once, however old the proof, also before the lease is there', async () => {
  const { clock, happened, watchdog, keeper } = scene()
  await watchdog.arm()
  keeper.timings = { ...keeper.timings, ttlMs: 20_000 }
  clock.jump(10_000)
  watchdog.proven()
  await clock.advance(0)
  assert.deepEqual(happened, ['open', 'timeout 25', 'timeout 15', 'fed'])
})

test('a mode, device or timing that rules it out while it is armed disarms it', async () => {
  for (const change of [
    { mode: 'off' },
    { device: '/dev/watchdog1' },
    { safetyMarginSeconds: 25 },
  ] as const) {
    const { happened, watchdog, state, prove } = scene({ mode: 'automatic' })
    await watchdog.arm()
    state.config = { ...state.config, ...change }
    await prove()
    assert.deepEqual(happened, ['open', 'timeout 25', 'disarmed'], JSON.stringify(change))
    assert.equal(watchdog.state.isArmed, false)
  }
})

test('where it is required, a device that is not there keeps this member from leading', async () => {
  const { watchdog, state } = scene()
  assert.equal(watchdog.state.isHealthy, false, 'nobody has looked yet')
  await watchdog.look()
  assert.equal(watchdog.state.isHealthy, true)
  state.isWritable = false
  await watchdog.look()
  assert.equal(watchdog.state.isHealthy, false)
})

test('where it is required, an attempt that failed counts for a lease; where not, until the next term', async () => {
  for (const mode of ['required', 'automatic'] as const) {
    const { clock, watchdog, trouble, keeper, said } = scene({ mode })
    await watchdog.look()
    trouble.call = 'EBUSY'
    await watchdog.arm()
    assert.match(watchdog.state.lack ?? '', /EBUSY/)
    assert.equal(watchdog.state.isHealthy, mode === 'automatic')
    keeper.hold = { ...keeper.hold, createRevision: 8n }
    assert.equal(watchdog.state.lack === undefined, mode === 'automatic')
    clock.jump(TTL_MS)
    assert.equal(watchdog.state.lack, undefined)
    assert.deepEqual(said, ['watchdog not armed: EBUSY'])
  }
})

test('a device that fires too late is refused where it is required, and used with a warning where not', async () => {
  for (const mode of ['required', 'automatic'] as const) {
    const { happened, watchdog, trouble, said } = scene({ mode })
    trouble.fixedSeconds = 60
    await watchdog.arm()
    const isUsed = mode === 'automatic'
    assert.equal(watchdog.state.isArmed, isUsed)
    assert.deepEqual(happened, isUsed ? ['open'] : ['open', 'disarmed'])
    assert.ok(said.some(text => /fires after 60 s, later than the 25 s/.test(text)))
  }
})

test('a device that fires before a turn is over is of no use to anybody', async () => {
  const { happened, watchdog, trouble } = scene({ mode: 'automatic' })
  trouble.fixedSeconds = 9
  await watchdog.arm()
  assert.equal(watchdog.state.isArmed, false)
  assert.deepEqual(happened, ['open', 'disarmed'])
})

test('a slack below zero is told with the cure, and nothing is opened', async () => {
  const { happened, watchdog } = scene({ safetyMarginSeconds: 25 })
  await watchdog.look()
  assert.equal(watchdog.state.isHealthy, false)
  await watchdog.arm()
  assert.match(watchdog.state.lack ?? '', /raise ttl, or lower loop_wait or watchdog.safety_margin/)
  assert.deepEqual(happened, [])
})

test('a required device that cannot be fed any more takes the lead before it fires', async () => {
  const { clock, watchdog, trouble, prove, said } = scene()
  await watchdog.look()
  await watchdog.arm()
  trouble.call = 'EIO'
  await prove()
  assert.equal(watchdog.state.lack, undefined, 'once may be an accident')
  clock.jump(13_000)
  await prove()
  assert.match(watchdog.state.lack ?? '', /EIO/)
  assert.equal(watchdog.state.isHealthy, false)
  assert.equal(said.filter(text => /cannot be fed/.test(text)).length, 1)
})

test('a device that hangs holds nobody up: the attempt ends at its deadline', async () => {
  const { clock, watchdog, trouble } = scene()
  trouble.hangs = true
  const arming = watchdog.arm()
  await clock.advance(3_000)
  await arming
  assert.match(watchdog.state.lack ?? '', /did not finish before its deadline/)
})

test('one that cannot be disarmed is fed once more and told of', async () => {
  const { happened, watchdog, trouble, said } = scene()
  trouble.canBeDisarmed = false
  await watchdog.arm()
  happened.length = 0
  await watchdog.standDown()
  assert.deepEqual(happened, ['fed', 'disarmed'])
  assert.ok(said.some(text => /cannot be disarmed: it resets this machine in 25 s/.test(text)))
})
