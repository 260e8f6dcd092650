// A claim of the scope that comes late, is left behind by a process that died, or cannot be given back: it blocks nobody.

import assert from 'node:assert/strict'
import test from 'node:test'
import { bootstrapCluster } from '../../../src/agent/bootstrap.ts'
import { decide } from '../../../src/agent/decide.ts'
import { LeaseKeeper } from '../../../src/agent/lease-keeper.ts'
import { AgentState } from '../../../src/agent/state.ts'
import type { WorkContext } from '../../../src/agent/work.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { down, SYSTEM_ID, settled, snapshot } from './scene.ts'

/** An agent process of this name over the store; `failing` makes its initdb fail. */
function agent(store: MemoryStore, clock: FakeClock, name: string, failing = false) {
  const dcs = new MemoryDcs(store)
  const state = new AgentState(dynamicConfig({}, true))
  const keeper = new LeaseKeeper(
    { dcs, name, clock, log: silentLogger, onLost: () => {}, onRenewed: () => {} },
    { ttlMs: 30_000, loopWaitMs: 10_000, retryTimeoutMs: 10_000 },
  )
  const postgres = {
    bootstrap: async () => {
      if (failing) throw new Error('initdb failed')
      return SYSTEM_ID
    },
    stop: async () => ({ stopped: true }),
    setAside: async () => '/data.failed',
  }
  const parts = {
    dcs,
    postgres,
    clock,
    log: silentLogger,
    local: { name, bootstrap: { dcs: { ttl: 30 } } },
    events: { record: () => {} },
  }
  const fence = { arm: () => {}, disarm: () => {} }
  const watchdog = { arm: async () => {}, standDown: async () => {}, state: { mode: 'off' } }
  const context = { parts, state, keeper, fence, watchdog } as unknown as WorkContext
  /** One turn with an empty data directory: what is decided, and done if it is a bootstrap. */
  const turn = async (): Promise<string> => {
    const view = await dcs.read(Deadline.in(clock, 1_000))
    state.view = view
    const self = { ...snapshot().self, name }
    const seen = { self, view, server: down({ dataDirectory: 'empty' as const }), systemId: undefined }
    const decision = decide(snapshot(seen), settled)
    if (decision.rule === 'bootstrap') {
      const work = bootstrapCluster(context, new AbortController().signal).catch(() => {})
      await clock.advance(120_000)
      await work
    }
    return decision.rule
  }
  return { dcs, state, turn }
}

function rig() {
  const clock = new FakeClock()
  const store = new MemoryStore({ clock })
  const textOf = (key: string) => store.keys().find(kv => kv.key === key)?.value
  return { clock, store, textOf }
}

/** The store gets and answers everything 15 s late for this long: the claim's answer is `unknown`, and the read after it fails. */
async function claimLate({ clock, store }: ReturnType<typeof rig>, late: ReturnType<typeof agent>) {
  late.state.view = await late.dcs.read(Deadline.in(clock, 1_000))
  const write = late.dcs.write.bind(late.dcs)
  late.dcs.write = async (...args) => {
    late.dcs.write = write
    late.dcs.setFaults({ delayMs: 15_000 })
    const written = await write(...args)
    late.dcs.setFaults({})
    return written
  }
  assert.equal(await late.turn(), 'bootstrap')
  assert.equal(store.keys().find(kv => kv.key === 'initialize')?.value, '', 'the claim came in the end')
}

test('a claim that was applied after its caller gave it up is taken up by the process that made it', async () => {
  const scene = rig()
  const pg1 = agent(scene.store, scene.clock, 'pg1')
  await claimLate(scene, pg1)
  assert.equal(await agent(scene.store, scene.clock, 'pg2').turn(), 'wait-for-bootstrap', 'it is not theirs')
  assert.equal(await pg1.turn(), 'bootstrap')
  assert.equal(scene.textOf('initialize'), SYSTEM_ID)
  assert.match(scene.textOf('pgherd/term') ?? '', /pg1/, 'it has led')
  assert.equal(scene.textOf('pgherd/claim'), undefined)
})

test('a claim of a process that died is taken up when the member is started again', async () => {
  const scene = rig()
  await claimLate(scene, agent(scene.store, scene.clock, 'pg1'))
  assert.equal(await agent(scene.store, scene.clock, 'pg1').turn(), 'bootstrap')
  assert.equal(scene.textOf('initialize'), SYSTEM_ID)
})

test('a claim that a failed bootstrap could not give back is taken up at the next start', async () => {
  const scene = rig()
  const pg1 = agent(scene.store, scene.clock, 'pg1', true)
  const write = pg1.dcs.write.bind(pg1.dcs)
  pg1.dcs.write = async (conditions, writes, by) => {
    const isGivingBack = writes.some(({ kind }) => kind === 'delete')
    return isGivingBack ? { outcome: 'unreachable', revision: undefined } : write(conditions, writes, by)
  }
  assert.equal(await pg1.turn(), 'bootstrap')
  assert.equal(pg1.state.exitCode, 1)
  assert.equal(scene.textOf('initialize'), '')
  assert.equal(await agent(scene.store, scene.clock, 'pg1').turn(), 'bootstrap')
  assert.equal(scene.textOf('initialize'), SYSTEM_ID)
})

test('giving the scope back is tried again when its answer does not come', async () => {
  const scene = rig()
  const pg1 = agent(scene.store, scene.clock, 'pg1', true)
  const write = pg1.dcs.write.bind(pg1.dcs)
  let failures = 2
  pg1.dcs.write = async (conditions, writes, by) => {
    const isGivingBack = writes.some(({ kind }) => kind === 'delete')
    if (!isGivingBack || failures-- <= 0) return write(conditions, writes, by)
    return { outcome: 'unknown', revision: undefined }
  }
  await pg1.turn()
  assert.equal(pg1.state.exitCode, 1)
  assert.equal(scene.textOf('initialize'), undefined)
  assert.equal(scene.textOf('pgherd/claim'), undefined)
})

test('what is left of our claim says nothing about the empty `initialize` that somebody else made later', async () => {
  const { clock, store } = rig()
  store.txn([], [{ kind: 'put', key: 'pgherd/claim', value: '{"name":"pg1","since":"1"}' }])
  store.txn([], [{ kind: 'put', key: 'initialize', value: '' }])
  assert.equal(await agent(store, clock, 'pg1').turn(), 'wait-for-bootstrap')
})

test('who takes up a claim shuts out the process that made it, if that still lives', async () => {
  const scene = rig()
  const first = agent(scene.store, scene.clock, 'pg1')
  await claimLate(scene, first)
  const write = first.dcs.write.bind(first.dcs)
  first.dcs.write = async (conditions, writes, by) => {
    // Between its own claim and its lead the other process has taken the claim up, and not finished.
    if (writes.some(one => one.kind === 'put' && one.key === 'leader')) {
      const claim = scene.store.keys().find(kv => kv.key === 'pgherd/claim')
      scene.store.txn([], [{ kind: 'put', key: 'pgherd/claim', value: claim?.value ?? '' }])
    }
    return write(conditions, writes, by)
  }
  await first.turn()
  assert.equal(first.state.exitCode, 1)
  assert.equal(scene.textOf('leader'), undefined)
  assert.equal(scene.textOf('initialize'), '', 'and it does not give away what is another one’s')
})
