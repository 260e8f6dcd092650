import assert from 'node:assert/strict'
import test from 'node:test'
import { Executor } from '../../../src/agent/act.ts'
import type { LoopContext } from '../../../src/agent/observe.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { acquireLeader } from '../../../src/dcs/leadership.ts'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const put = (value: string) => ({ kind: 'put', key: 'config', value }) as const

/** A leader that found no usable configuration in the store, and is about to write it back. */
async function leading(found?: string) {
  const clock = new FakeClock()
  const dcs = new MemoryDcs(new MemoryStore({ clock }))
  const by = () => Deadline.in(clock, 1_000)
  const lease = await dcs.grantLease(30, by())
  const { revision = 0n } = await acquireLeader(dcs, 'pg1', lease.id, by())
  if (found !== undefined) await dcs.write([], [put(found)], by())
  const state = new AgentState(dynamicConfig({ ttl: 20 }, true))
  state.view = await dcs.read(by())
  const warnings: string[] = []
  const keeper = { hold: { name: 'pg1', createRevision: revision, modRevision: revision, leaseId: lease.id } }
  const log = { warning: (says: string) => void warnings.push(says) }
  const parts = { dcs, clock, log, local: { bootstrap: { dcs: {} } }, metrics: { acted: () => {} } }
  const executor = new Executor({ parts, state, keeper } as unknown as LoopContext)
  const writeBack = () => executor.run([{ kind: 'write-config' }], 'no-action-leader')
  const stored = async () => (await dcs.read(by())).config?.value
  return { dcs, by, writeBack, stored, warnings }
}

test('a configuration that is gone is written back', async () => {
  const { writeBack, stored } = await leading()
  await writeBack()
  assert.deepEqual(await stored(), { ttl: 20 })
})

test('a configuration that nobody can read is replaced', async () => {
  const { writeBack, stored } = await leading('{ "ttl": ')
  await writeBack()
  assert.deepEqual(await stored(), { ttl: 20 })
})

test('a configuration that somebody restored meanwhile, or changed before our write came, is left alone', async () => {
  for (const found of [undefined, '{ "ttl": ']) {
    const { dcs, by, writeBack, stored, warnings } = await leading(found)
    await dcs.write([], [put('{"pause": true}')], by())
    await writeBack()
    assert.deepEqual(await stored(), { pause: true })
    assert.match(warnings.join(), /write-config failed/)
  }
})
