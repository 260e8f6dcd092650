import assert from 'node:assert/strict'
import test from 'node:test'
import { Failsafe } from '../../../src/agent/failsafe.ts'
import { Watchdog } from '../../../src/agent/watchdog.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { MARGIN_MS, position, runLoop, scene, TTL_MS } from './keeper-scene.ts'

const config = dynamicConfig(
  { failsafe_mode: true, ttl: 5, loop_wait: 1, retry_timeout: 1, pgherd: { short_ttl: true } },
  true,
)
const three = { pg1: 'http://1/patroni', pg2: 'http://2/patroni', pg3: 'http://3/patroni' }

/** A leader whose etcd a test can silence, and members that accept it or not. */
function leaderScene(members: Readonly<Record<string, string>> | undefined = three) {
  // As the agent does it.
  const parts = scene(undefined, loss => loss !== 'overtaken' && failsafe.isLeading)
  const { keeper, clock, fence } = parts
  const others = {
    accepting: new Set(['pg2', 'pg3']),
    asked: [] as string[][],
    told: [] as unknown[],
    latencyMs: 0,
  }
  const ttl = { seconds: TTL_MS / 1000 }
  const failsafe: Failsafe = new Failsafe({
    me: 'pg1',
    keeper,
    clock,
    log: silentLogger,
    ask: async (peers, body) => {
      others.told.push(body['ttl_ms'])
      others.asked.push([...peers.keys()])
      if (others.latencyMs > 0) await clock.sleep(others.latencyMs)
      return [...peers.keys()].map(name => ({ name, isAccepted: others.accepting.has(name), lsn: undefined }))
    },
    config: () => ({ ...config, ttlSeconds: ttl.seconds }),
    isServing: () => fence.isArmed && !fence.isActing,
    members: () => members,
    body: () => ({}),
    onConfirmed: () => {},
  })
  const lead = async () => {
    await parts.lead()
    failsafe.start()
    await runLoop(clock, keeper, 2_000)
  }
  return { ...parts, fence, failsafe, others, ttl, lead }
}

test('while every other member accepts it, a leader without etcd goes on for as long as that lasts', async () => {
  const { clock, keeper, store, signals, failsafe, others, lead } = leaderScene()
  await lead()
  assert.deepEqual(others.asked, [], 'nobody is asked while the lease is renewed')
  store.answer = 'unreachable'
  await runLoop(clock, keeper, 60_000)
  assert.deepEqual(signals, [])
  assert.equal(failsafe.isLeading, true)
  assert.ok(keeper.leftMs() > TTL_MS / 6, 'the fence has no reason to act')
  assert.deepEqual([...new Set(others.told)], [TTL_MS], 'they are told for how long')
})

for (const refusing of ['pg2', 'pg3']) {
  test(`one refusal (${refusing}) is enough: the leader without etcd stops in time`, async () => {
    const { clock, keeper, store, signals, others, lead } = leaderScene()
    await lead()
    const safeUntilMs = keeper.safeUntilMs
    store.answer = 'unreachable'
    others.accepting.delete(refusing)
    await runLoop(clock, keeper, 10_000)
    assert.ok(
      signals.some(line => line.endsWith('SIGKILL') && Number(line.split(' ')[0]) <= safeUntilMs + 500),
    )
  })
}

test('an acceptance that ends later ends the leader by its own deadline, counted from before it asked', async () => {
  const { clock, keeper, store, signals, others, lead } = leaderScene()
  await lead()
  store.answer = 'unreachable'
  others.latencyMs = 300
  await runLoop(clock, keeper, 20_000)
  assert.equal(signals.length, 0)
  others.accepting.clear()
  const lastMs = keeper.safeUntilMs
  assert.ok(lastMs <= clock.monotonicMs() + TTL_MS - MARGIN_MS)
  await runLoop(clock, keeper, 10_000)
  assert.ok(signals.some(line => line.endsWith('SIGKILL')))
})

test('without a failsafe key that lists us nobody is asked, and the leader stops', async () => {
  for (const members of [{}, { pg2: 'http://2/patroni' }]) {
    const { clock, keeper, store, signals, others, lead } = leaderScene(members)
    await lead()
    store.answer = 'unreachable'
    await runLoop(clock, keeper, 10_000)
    assert.deepEqual(others.asked, [])
    assert.ok(signals.length > 0)
  }
})

test('a lone member in the key needs nobody', async () => {
  const { clock, keeper, store, signals, lead } = leaderScene({ pg1: 'http://1/patroni' })
  await lead()
  store.answer = 'unreachable'
  await runLoop(clock, keeper, 30_000)
  assert.deepEqual(signals, [])
})

test('a hung loop loses the lead though everybody accepts', async () => {
  const { clock, store, signals, lead } = leaderScene()
  await lead()
  store.answer = 'unreachable'
  await clock.advance(20_000)
  assert.ok(signals.some(line => line.endsWith('SIGKILL')))
})

test('etcd is back and the lease has ended there: the deadline of the others’ word stays, the key can be taken again', async () => {
  const { clock, keeper, store, failsafe, lost, lead } = leaderScene()
  await lead()
  store.answer = 'unreachable'
  await runLoop(clock, keeper, 20_000)
  const untilMs = keeper.extendedUntilMs
  store.answer = 'lost'
  keeper.noteTurn()
  await clock.advance(900)
  assert.deepEqual(lost, ['the lease ended in etcd'])
  assert.equal(failsafe.isLeading, true, 'everybody has promised not to lead')
  assert.ok(keeper.extendedUntilMs >= untilMs)
})

/** etcd answers just once, that the lease has ended. */
async function loseLease({ clock, keeper, store, lost }: ReturnType<typeof leaderScene>) {
  store.answer = 'unreachable'
  await runLoop(clock, keeper, 20_000)
  store.answer = 'lost'
  keeper.noteTurn()
  await clock.advance(900)
  assert.deepEqual(lost, ['the lease ended in etcd'])
  store.answer = 'unreachable'
}

test('etcd answers only once that the lease has ended, and is away again: the others are asked on, the leader stays', async () => {
  const parts = leaderScene()
  const { clock, keeper, signals, failsafe, lead } = parts
  await lead()
  await loseLease(parts)
  await runLoop(clock, keeper, 60_000)
  assert.deepEqual(signals, [])
  assert.equal(failsafe.isLeading, true)
})

test('the same, with a new lease for the member key that is renewed: the others are asked all the same', async () => {
  const parts = leaderScene()
  const { clock, keeper, store, signals, failsafe, lead } = parts
  await lead()
  await loseLease(parts)
  store.answer = 'won'
  await keeper.ensureLease(Deadline.in(clock, 1_000))
  await runLoop(clock, keeper, 60_000)
  assert.deepEqual(signals, [])
  assert.equal(failsafe.isLeading, true)
})

test('the same, and then one member accepts no more: the leader stops by its last deadline', async () => {
  const parts = leaderScene()
  const { clock, keeper, signals, others, lead } = parts
  await lead()
  await loseLease(parts)
  await runLoop(clock, keeper, 20_000)
  assert.equal(signals.length, 0)
  others.accepting.delete('pg3')
  const lastMs = keeper.extendedUntilMs
  await runLoop(clock, keeper, 10_000)
  assert.ok(signals.some(line => line.endsWith('SIGKILL') && Number(line.split(' ')[0]) <= lastMs + 100))
})

for (const [what, seen] of [
  ['somebody else in the key', { name: 'pg2', createRevision: 90n, modRevision: 90n, leaseId: 9n }],
  ['an etcd that was restored', undefined],
] as const) {
  test(`the same, and then ${what}: nobody is asked any more, and the stop begins at once`, async () => {
    const parts = leaderScene()
    const { clock, keeper, signals, failsafe, others, lead } = parts
    await lead()
    await loseLease(parts)
    keeper.verify(seen, position(seen === undefined ? 1n : 90n))
    assert.equal(failsafe.isLeading, false)
    const askedBefore = others.asked.length
    await runLoop(clock, keeper, 1_000)
    assert.ok(signals.some(line => line.endsWith('SIGKILL')))
    assert.equal(others.asked.length, askedBefore)
  })
}

test('a leader that is being stopped asks nobody: its promises would keep the others from leading', async () => {
  const parts = leaderScene()
  const { clock, keeper, fence, others, lead } = parts
  await lead()
  await loseLease(parts)
  fence.disarm()
  const askedBefore = others.asked.length
  await runLoop(clock, keeper, 10_000)
  assert.equal(others.asked.length, askedBefore)
})

test('somebody else in the key ends the others’ word at once', async () => {
  const { clock, keeper, store, failsafe, lead } = leaderScene()
  await lead()
  store.answer = 'unreachable'
  await runLoop(clock, keeper, 20_000)
  keeper.verify({ name: 'pg2', createRevision: 90n, modRevision: 90n, leaseId: 9n }, position(90n))
  assert.equal(keeper.hold, undefined)
  assert.equal(failsafe.isLeading, false)
})

test('a promise binds for a ttl and no longer, and is forgotten when there is a leader', async () => {
  const { clock, failsafe } = leaderScene()
  const promised = () => failsafe.promisedTo?.name
  assert.equal(promised(), undefined)
  failsafe.accept({ name: 'pg9', apiUrl: undefined, slots: {}, ttlMs: undefined })
  await clock.advance(TTL_MS - 1)
  assert.equal(promised(), 'pg9')
  await clock.advance(1)
  assert.equal(promised(), undefined)
  failsafe.accept({ name: 'pg9', apiUrl: undefined, slots: {}, ttlMs: undefined })
  failsafe.forget()
  assert.equal(promised(), undefined)
})

for (const [what, ours, told] of [
  ['the ttl that the caller goes by', TTL_MS, 6 * TTL_MS],
  ['our ttl of when it was given', 6 * TTL_MS, undefined],
] as const) {
  test(`a promise outlasts a ttl that is made shorter: it holds for ${what}`, async () => {
    const { clock, failsafe, ttl } = leaderScene()
    ttl.seconds = ours / 1000
    failsafe.accept({ name: 'pg9', apiUrl: undefined, slots: {}, ttlMs: told })
    ttl.seconds = 3
    await clock.advance(6 * TTL_MS - 1)
    assert.equal(failsafe.promisedTo?.name, 'pg9')
    await clock.advance(1)
    assert.equal(failsafe.promisedTo, undefined)
  })
}

test('a promise for a shorter time takes nothing from the one before', async () => {
  const { clock, failsafe, ttl } = leaderScene()
  ttl.seconds = 3
  failsafe.accept({ name: 'pg9', apiUrl: undefined, slots: {}, ttlMs: 30_000 })
  await clock.advance(1_000)
  failsafe.accept({ name: 'pg9', apiUrl: undefined, slots: {}, ttlMs: 3_000 })
  await clock.advance(28_999)
  assert.equal(failsafe.promisedTo?.name, 'pg9')
  await clock.advance(1)
  assert.equal(failsafe.promisedTo, undefined)
})

/** A watchdog of 4 s over this leader; `fedAtMs` has when it was fed. */
async function watched({ clock, keeper, fence, onProven }: ReturnType<typeof leaderScene>) {
  const fedAtMs = [clock.monotonicMs()]
  const watchdog = new Watchdog({
    watchdogs: {
      device: () => ({
        isStuck: false,
        open: async () => ({ identity: 'test', canSetTimeout: true, canBeDisarmed: true }),
        setTimeoutSeconds: async () => {},
        timeoutSeconds: async () => 4,
        keepalive: async () => void fedAtMs.push(clock.monotonicMs()),
        disarm: async () => {},
      }),
      isWritable: async () => true,
    },
    config: () => ({ mode: 'required', device: '', safetyMarginSeconds: 1, driver: 'default' }),
    keeper,
    isFencing: () => fence.isActing,
    clock,
    log: silentLogger,
    onFed: () => {},
  })
  await watchdog.arm()
  onProven.push(() => watchdog.proven())
  return fedAtMs
}

test('the same under a watchdog: the others’ word feeds it also when the key is gone, and nothing does when one refuses', async () => {
  const parts = leaderScene()
  const { clock, keeper, signals, others, lead } = parts
  await lead()
  const fedAtMs = await watched(parts)
  await loseLease(parts)
  await runLoop(clock, keeper, 60_000)
  assert.deepEqual(signals, [])
  const gapsMs = [...fedAtMs.slice(1), clock.monotonicMs()].map((atMs, index) => atMs - (fedAtMs[index] ?? 0))
  assert.ok(Math.max(...gapsMs) < 4_000, `not fed for ${Math.max(...gapsMs)} ms: it resets the machine`)
  const lastMs = keeper.extendedUntilMs
  others.accepting.delete('pg3')
  await runLoop(clock, keeper, 20_000)
  const lastFedMs = fedAtMs.at(-1) ?? 0
  assert.ok(lastFedMs + 4_000 <= lastMs + MARGIN_MS, 'it fires before the others may lead')
})
