import assert from 'node:assert/strict'
import test from 'node:test'
import { Executor } from '../../../src/agent/act.ts'
import type { LoopContext } from '../../../src/agent/observe.ts'
import { AgentState } from '../../../src/agent/state.ts'
import { type FailoverRequest, printRequest } from '../../../src/cluster/request.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { acquireLeader } from '../../../src/dcs/leadership.ts'
import { MemoryDcs } from '../../../src/dcs/memory.ts'
import { MemoryStore } from '../../../src/dcs/memory-store.ts'
import { Deadline } from '../../../src/platform/deadline.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const request: FailoverRequest = {
  leader: 'pg1',
  candidate: 'pg2',
  scheduledAt: '2026-11-24T04:00:00+00:00',
}

/** A leader that read the request; what the key says after it has begun. `meanwhile` is written between. */
async function begun(meanwhile?: string): Promise<string | undefined> {
  const clock = new FakeClock()
  const dcs = new MemoryDcs(new MemoryStore({ clock }))
  const by = () => Deadline.in(clock, 1_000)
  const write = (value: string) => dcs.write([], [{ kind: 'put', key: 'failover', value }], by())
  const lease = await dcs.grantLease(30, by())
  const { revision = 0n } = await acquireLeader(dcs, 'pg1', lease.id, by())
  await write(printRequest(request))
  const state = new AgentState(dynamicConfig({}, true))
  state.view = await dcs.read(by())
  if (meanwhile !== undefined) await write(meanwhile)
  const keeper = { hold: { name: 'pg1', createRevision: revision, modRevision: revision, leaseId: lease.id } }
  const parts = { dcs, clock, log: { warning: () => {} }, metrics: { acted: () => {} } }
  const executor = new Executor({ parts, state, keeper } as unknown as LoopContext)
  await executor.run([{ kind: 'begin-request', request }], 'request-due')
  const now = (await dcs.read(by())).request?.value
  return now === undefined ? undefined : printRequest(now)
}

test('a scheduled request whose time has come is written again without its time', async () => {
  assert.equal(await begun(), '{"leader":"pg1","member":"pg2"}')
})

test('one that was withdrawn or replaced meanwhile is left alone', async () => {
  assert.equal(await begun('{}'), undefined)
  assert.equal(await begun('{"leader":"pg1","member":"pg3"}'), '{"leader":"pg1","member":"pg3"}')
})
