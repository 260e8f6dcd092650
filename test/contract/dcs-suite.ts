// What every implementation of Dcs must do. Run by dcs-memory.test.ts and dcs-etcd.test.ts with a world of their own.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Dcs } from '../../src/dcs/dcs.ts'
import { holdOf } from '../../src/dcs/dcs.ts'
import { acquireLeader, reattachLeader, releaseLeader, writeAsLeader } from '../../src/dcs/leadership.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'
import { HaError } from '../../src/platform/errors.ts'
import { WatchReader } from './dcs-watch-reader.ts'

/** Where the suite runs: a store, a clock, and the power to let time pass. */
export interface StoreWorld {
  readonly clock: Clock
  /** A client of the scope of that name; clients of one scope share its keys. */
  connect(scope: string): Dcs
  /** Lets `durationMs` pass on the clock. */
  pass(durationMs: number): Promise<void>
}

/** Two clients of a scope that no other test uses. */
interface Scope {
  readonly a: Dcs
  readonly b: Dcs
  readonly clock: Clock
  by(durationMs?: number): Deadline
  pass(durationMs: number): Promise<void>
}

const put = (key: string, value: string, leaseId?: bigint) =>
  leaseId === undefined
    ? ({ kind: 'put', key, value } as const)
    : ({ kind: 'put', key, value, leaseId } as const)

/** Registers the contract's tests. `world` is called by each of them: they run side by side and must not share a held clock. */
export function dcsContract(name: string, world: () => Promise<StoreWorld>): void {
  let scopes = 0
  const inScope = (sentence: string, body: (scope: Scope) => Promise<void>) =>
    test(sentence, async () => {
      const { clock, connect, pass } = await world()
      scopes += 1
      const scope = `${name}-${scopes}`
      const [a, b] = [connect(scope), connect(scope)]
      const by = (durationMs = 5_000) => Deadline.in(clock, durationMs)
      try {
        await body({ a, b, clock, by, pass })
      } finally {
        await Promise.all([a.close(), b.close()])
      }
    })
  describe(`store contract: ${name}`, { concurrency: 8 }, () => {
    readsAndWrites(inScope)
    leases(inScope)
    leadership(inScope)
    watches(inScope)
    deadlines(inScope)
  })
}

type InScope = (sentence: string, body: (scope: Scope) => Promise<void>) => void

function readsAndWrites(inScope: InScope): void {
  inScope('an empty scope reads as an empty view that says where it stands', async ({ a, by }) => {
    const view = await a.read(by())
    assert.equal(view.leader, undefined)
    assert.equal(view.members.size, 0)
    assert.ok(view.position.clusterId.length > 0)
    assert.ok(view.position.revision > 0n)
  })

  inScope('a key that must be absent is created once', async ({ a, b, by }) => {
    const first = await a.write([{ kind: 'absent', key: 'initialize' }], [put('initialize', '1')], by())
    const second = await b.write([{ kind: 'absent', key: 'initialize' }], [put('initialize', '2')], by())
    assert.equal(first.outcome, 'won')
    assert.deepEqual(second, { outcome: 'lost', revision: undefined })
    const { initialize } = await b.read(by())
    assert.equal(initialize?.value, '1')
    assert.equal(initialize?.modRevision, first.revision)
  })

  inScope('a write that compares the mod revision wins once', async ({ a, b, by }) => {
    const { revision = 0n } = await a.write([], [put('config', '{"ttl":30}')], by())
    const condition = { kind: 'mod-revision', key: 'config', revision } as const
    assert.equal((await b.write([condition], [put('config', '{"ttl":20}')], by())).outcome, 'won')
    assert.equal((await a.write([condition], [put('config', '{"ttl":10}')], by())).outcome, 'lost')
    assert.deepEqual((await a.read(by())).config?.value, { ttl: 20 })
  })

  inScope('a key that was deleted and made anew has another create revision', async ({ a, by }) => {
    const { revision = 0n } = await a.write([], [put('leader', 'pg1')], by())
    await a.write([], [{ kind: 'delete', key: 'leader' }], by())
    await a.write([], [put('leader', 'pg1')], by())
    const condition = { kind: 'create-revision', key: 'leader', revision } as const
    assert.equal((await a.write([condition], [put('status', '{}')], by())).outcome, 'lost')
  })

  inScope('a transaction is applied as a whole, at one revision, or not at all', async ({ a, by }) => {
    const writes = [
      put('members/pg1', '{}'),
      put('pgherd/barrier', 'x'),
      { kind: 'delete', key: 'nothing' } as const,
    ]
    const { revision } = await a.write([{ kind: 'absent', key: 'leader' }], writes, by())
    const view = await a.read(by())
    assert.equal(view.own.get('barrier')?.modRevision, revision)
    assert.equal(view.members.size, 1)
    const conditions = [
      { kind: 'absent', key: 'leader' },
      { kind: 'absent', key: 'members/pg1' },
    ] as const
    assert.equal((await a.write(conditions, [put('leader', 'pg1')], by())).outcome, 'lost')
    assert.equal((await a.read(by())).leader, undefined)
  })

  inScope('deleting a prefix leaves its neighbours', async ({ a, by }) => {
    await a.write([], [put('members/pg1', '{}'), put('members/pg2', '{}'), put('leader', 'pg1')], by())
    await a.write([], [{ kind: 'delete-prefix', prefix: 'members/' }], by())
    const view = await a.read(by())
    assert.deepEqual([view.members.size, view.leader?.name], [0, 'pg1'])
  })

  inScope('a transaction that puts a key twice is surely not applied', async ({ a, by }) => {
    const { outcome } = await a.write([], [put('leader', 'pg1'), put('leader', 'pg2')], by())
    assert.equal(outcome, 'unreachable')
    assert.equal((await a.read(by())).leader, undefined)
  })

  inScope('values come back as they were, whatever their language and length', async ({ a, b, by }) => {
    const values = ['', 'größer \u{1f418}', 'x'.repeat(300_000), '{"a":18446744073709551615}']
    for (const [index, value] of values.entries()) {
      await a.write([], [put(`pgherd/v${index}`, value)], by())
      assert.equal((await b.read(by())).own.get(`v${index}`)?.value, value)
    }
  })
}

function leases(inScope: InScope): void {
  inScope(
    'a lease that is not renewed ends and takes its keys in one revision',
    async ({ a, b, by, pass }) => {
      const lease = await a.grantLease(2, by())
      assert.ok(lease.ttlSeconds >= 2)
      await a.write([], [put('leader', 'pg1', lease.id), put('members/pg1', '{}', lease.id)], by())
      await a.write([], [put('config', '{}')], by())
      const watch = new WatchReader(b, 1)
      await watch.begun()
      await pass(lease.ttlSeconds * 1000 + 2_500)
      const deletions = await watch.events(2)
      assert.deepEqual(new Set(deletions.map(event => event.kind)), new Set(['delete']))
      assert.equal(new Set(deletions.map(event => event.revision)).size, 1)
      const view = await b.read(by())
      assert.deepEqual([view.leader, view.members.size, view.config?.value], [undefined, 0, {}])
      assert.deepEqual(await a.keepAlive(lease.id, by()), { outcome: 'lost' })
      assert.equal((await a.leaseLeft(lease.id, by())).leftSeconds, undefined)
      assert.equal((await a.write([], [put('leader', 'pg1', lease.id)], by())).outcome, 'lost')
      await watch.close()
    },
  )

  inScope('a renewed lease outlives its first term', async ({ a, b, by, pass, clock }) => {
    const lease = await a.grantLease(4, by())
    await a.write([], [put('leader', 'pg1', lease.id)], by())
    for (let round = 0; round < 3; round += 1) {
      await pass(2_000)
      const beforeMs = clock.monotonicMs()
      const renewal = await b.keepAlive(lease.id, by())
      assert.equal(renewal.outcome, 'won')
      if (renewal.outcome !== 'won') continue
      assert.equal(renewal.lease.ttlSeconds, lease.ttlSeconds)
      assert.ok(renewal.lease.sentAtMs >= beforeMs && renewal.lease.sentAtMs <= clock.monotonicMs())
    }
    assert.equal((await a.read(by())).leader?.leaseId, lease.id)
    const left = await a.leaseLeft(lease.id, by())
    assert.equal(left.grantedSeconds, lease.ttlSeconds)
    assert.ok(left.leftSeconds !== undefined && left.leftSeconds <= lease.ttlSeconds)
  })

  inScope('revoking a lease deletes its keys, once', async ({ a, b, by }) => {
    const lease = await a.grantLease(60, by())
    await a.write([], [put('members/pg1', '{}', lease.id)], by())
    assert.equal(await b.revokeLease(lease.id, by()), 'won')
    assert.equal((await a.read(by())).members.size, 0)
    assert.equal(await b.revokeLease(lease.id, by()), 'lost')
  })

  inScope('a key put without a lease no longer ends with the lease it had', async ({ a, by }) => {
    const lease = await a.grantLease(60, by())
    await a.write([], [put('members/pg1', '{}', lease.id)], by())
    assert.equal((await a.read(by())).members.get('pg1')?.leaseId, lease.id)
    await a.write([], [put('members/pg1', '{}')], by())
    await a.revokeLease(lease.id, by())
    assert.equal((await a.read(by())).members.get('pg1')?.leaseId, 0n)
  })
}

function leadership(inScope: InScope): void {
  inScope('of ten that race for the leader key exactly one wins', async ({ a, b, by }) => {
    const lease = await a.grantLease(60, by())
    const names = Array.from({ length: 10 }, (_, index) => `pg${index}`)
    const results = await Promise.all(
      names.map((name, index) => acquireLeader(index % 2 === 0 ? a : b, name, lease.id, by())),
    )
    const winners = names.filter((_, index) => results[index]?.outcome === 'won')
    assert.equal(winners.length, 1)
    assert.equal(results.filter(result => result.outcome === 'lost').length, 9)
    assert.equal((await b.read(by())).leader?.name, winners[0])
  })

  inScope('putting the leader key under a new lease keeps its epoch', async ({ a, by }) => {
    const [first, second] = [await a.grantLease(60, by()), await a.grantLease(60, by())]
    await acquireLeader(a, 'pg1', first.id, by())
    const before = (await a.read(by())).leader
    assert.ok(before !== undefined)
    assert.equal((await reattachLeader(a, holdOf(before), second.id, by())).outcome, 'won')
    const after = (await a.read(by())).leader
    assert.equal(after?.createRevision, before.createRevision)
    assert.equal(after?.leaseId, second.id)
    assert.equal((await reattachLeader(a, holdOf(before), first.id, by())).outcome, 'lost')
  })

  inScope('nothing is written in the name of a term that is over', async ({ a, b, by }) => {
    const lease = await a.grantLease(60, by())
    await acquireLeader(a, 'pg1', lease.id, by())
    const old = (await a.read(by())).leader
    assert.ok(old !== undefined)
    assert.equal((await writeAsLeader(a, holdOf(old), [put('status', '{"optime":1}')], by())).outcome, 'won')
    assert.equal((await releaseLeader(a, holdOf(old), by())).outcome, 'won')
    await acquireLeader(b, 'pg1', lease.id, by())
    assert.equal((await writeAsLeader(a, holdOf(old), [put('status', '{"optime":2}')], by())).outcome, 'lost')
    assert.equal((await releaseLeader(a, holdOf(old), by())).outcome, 'lost')
    const view = await b.read(by())
    assert.equal(view.status.optime, 1n)
    assert.notEqual(view.leader?.createRevision, old.createRevision)
  })
}

function watches(inScope: InScope): void {
  for (const streams of [1, 2] as const) {
    inScope(`a watch on ${streams} members tells each change once, in order`, async ({ a, b, by }) => {
      const watch = new WatchReader(b, streams)
      await watch.begun()
      const revisions: bigint[] = []
      for (let count = 0; count < 100; count += 1) {
        const { revision = 0n } = await a.write([], [put(`pgherd/k${count % 7}`, String(count))], by())
        revisions.push(revision)
      }
      const events = await watch.events(100)
      assert.deepEqual(
        events.map(event => event.revision),
        revisions,
      )
      assert.deepEqual(
        events.map(event => event.value),
        revisions.map((_, count) => String(count)),
      )
      assert.deepEqual(watch.stale.slice(1), [])
      await watch.close()
    })
  }

  inScope('a watch tells the leader key with its value, lease and revisions', async ({ a, b, by }) => {
    const lease = await a.grantLease(60, by())
    const watch = new WatchReader(b, 2)
    await watch.begun()
    const { revision } = await acquireLeader(a, 'pg1', lease.id, by())
    await a.revokeLease(lease.id, by())
    const [created, deleted] = await watch.events(2)
    assert.deepEqual(created, { kind: 'put', key: 'leader', value: 'pg1', leaseId: lease.id, revision })
    assert.deepEqual([deleted?.kind, deleted?.key], ['delete', 'leader'])
    assert.ok((deleted?.revision ?? 0n) > (revision ?? 0n))
    await watch.close()
  })

  inScope('a reader that is too slow is told to read everything, and then goes on', async ({ a, b, by }) => {
    const ended = new AbortController()
    const notices = b.watch({ streams: 1, signal: ended.signal })[Symbol.asyncIterator]()
    const first = await notices.next()
    assert.equal(first.value?.kind, 'stale')
    const waiting = notices.next()
    for (let batch = 0; batch < 50; batch += 1) {
      const writes = Array.from({ length: 100 }, (_, index) => put(`pgherd/${batch}-${index}`, 'x'))
      await a.write([], writes, by())
    }
    await waiting
    await b.read(by())
    const { revision } = await a.write([], [put('leader', 'pg1')], by())
    const seen: string[] = []
    for (;;) {
      const notice = (await notices.next()).value
      if (notice === undefined) break
      if (notice.kind === 'stale') seen.push('stale')
      if (notice.kind === 'events' && notice.position.revision >= (revision ?? 0n)) break
    }
    assert.ok(seen.length <= 1, `told stale ${seen.length} times`)
    ended.abort()
    assert.equal((await notices.next()).done, true)
  })

  inScope('a watch ends with its signal, with its reader, and with its client', async ({ a, b, by }) => {
    const bySignal = new WatchReader(a, 1)
    const byClient = new WatchReader(b, 2)
    await Promise.all([bySignal.begun(), byClient.begun()])
    await bySignal.close()
    await b.close()
    await byClient.over
    for await (const notice of a.watch({ streams: 1, signal: AbortSignal.timeout(60_000) })) {
      assert.equal(notice.kind, 'stale')
      break
    }
    assert.equal((await a.write([], [put('leader', 'pg1')], by())).outcome, 'won')
  })
}

function deadlines(inScope: InScope): void {
  inScope('a call whose time is over fails without being sent', async ({ a, clock, by, pass }) => {
    const over = new Deadline(clock, clock.monotonicMs() - 1)
    await assert.rejects(a.read(over), error => error instanceof HaError && error.code === 'E_DCS_TIMEOUT')
    assert.equal((await a.write([], [put('leader', 'pg1')], over)).outcome, 'unreachable')
    assert.equal((await a.keepAlive(1n, over)).outcome, 'unreachable')
    await pass(200)
    assert.equal((await a.read(by())).leader, undefined)
  })
}
