// The word of the leader's agent that its term ends, where the term went on under another revision of the key.

import assert from 'node:assert/strict'
import test from 'node:test'
import { CLOSING_MS_MAX, EvidenceBook } from '../../../src/proxy/evidence-book.ts'
import { led, limits, readPool, timing } from './facts.ts'
import { ledByPg1 } from './world.ts'

const book = () =>
  new EvidenceBook({ limits, timing, pools: [readPool], needsPing: false, onDcsLoss: 'keep' })

test('a leader that took its vanished key again names the revision under which its term goes on', () => {
  const made = book()
  made.announced({ createRevision: 9n, drainMs: 5000 }, 12n, 0)
  assert.equal(made.isClosing(led('pg1', 4, { continuedAs: 9n }), 100), true)
  assert.equal(made.isClosing(led('pg1', 4, { continuedAs: 7n }), 100), false)
  assert.equal(made.isClosing(led('pg1', 4), 100), false)
  assert.equal(made.isClosing(led('pg1', 9), 100), true)
})

test('a word that is read again counts from the first time', () => {
  const made = book()
  made.announced({ createRevision: 4n, drainMs: undefined }, 12n, 0)
  made.announced({ createRevision: 4n, drainMs: undefined }, 12n, 10_000)
  assert.equal(made.isClosing(led('pg1', 4), 14_999), true)
  assert.equal(made.isClosing(led('pg1', 4), 15_000), false)
})

test('the announced end is told to others once new sessions are held for it, and for the term that it names alone', async t => {
  const world = await ledByPg1()
  t.after(() => world.close())
  const createRevision = world.router.leadership.epoch?.createRevision ?? 0n
  const announce = (revision: bigint) => {
    const value = `{"create_revision":${revision},"drain_ms":5000}`
    const done = world.store.txn([], [{ kind: 'put', key: 'pgherd/closing', value }])
    return done.kind === 'applied' ? done.revision : undefined
  }
  announce(createRevision - 1n)
  await world.clock.advance(10)
  assert.equal(world.router.announcedEnd(), undefined)
  assert.ok(world.enter())
  const revision = announce(createRevision)
  await world.clock.advance(10)
  const end = world.router.announcedEnd()
  assert.deepEqual([end?.createRevision, end?.revision], [createRevision, revision])
  assert.equal(world.enter(), undefined)
  await world.clock.advance(CLOSING_MS_MAX)
  assert.equal(world.router.announcedEnd(), undefined)
})
