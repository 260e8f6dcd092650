// The word of the leader's agent that its term ends, where the term went on under another revision of the key.

import assert from 'node:assert/strict'
import test from 'node:test'
import { CLOSING_MS_MAX, EvidenceBook } from '../../../src/proxy/evidence-book.ts'
import { TermEnd } from '../../../src/proxy/term-end.ts'
import { led, limits, readPool, timing } from './facts.ts'
import { type Guest, ledByPg1 } from './world.ts'

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

test('the end is told only when those who log in have got in, and half a second later at most', async t => {
  for (const [what, enter, toldAfterMs, drainMs = 5_000] of [
    ['nobody', () => {}, 0],
    ['who has been in for long', (guest: Guest) => guest.backend.logins.end(guest), 0],
    ['who left', (guest: Guest) => guest.backend.leave(guest), 0],
    ['who is encrypted and may have got in', (guest: Guest) => guest.backend.begun(guest, true), 300],
    ['who never gets in', (guest: Guest) => guest.backend.begun(guest, false), 500],
    // The agent waits for half of the time that transactions get.
    ['who never gets in, in a short drain', (guest: Guest) => guest.backend.begun(guest, false), 200, 800],
  ] as const) {
    const world = await ledByPg1()
    t.after(() => world.close())
    const { router, clock } = world
    const told: number[] = []
    const termEnd = new TermEnd({ clock, router, onHeld: () => void told.push(clock.monotonicMs()) })
    const guest = world.enter()
    assert.ok(guest !== undefined)
    if (what === 'nobody') guest.backend.leave(guest)
    else enter(guest)
    const value = `{"create_revision":${router.leadership.epoch?.createRevision},"drain_ms":${drainMs}}`
    world.store.txn([], [{ kind: 'put', key: 'pgherd/closing', value }])
    const startedAtMs = clock.monotonicMs()
    await clock.advance(1)
    for (let look = 0; look < 3; look += 1) termEnd.look()
    await clock.advance(2_000)
    termEnd.look()
    const waits = told.map(atMs => atMs - startedAtMs)
    assert.equal(waits.length, 1, `${what}: told once`)
    const [waitedMs = Number.NaN] = waits
    assert.ok(waitedMs >= toldAfterMs && waitedMs < toldAfterMs + 50, `${what}: told after ${waitedMs} ms`)
    termEnd.stop()
  }
})

test('sessions are held for the leader whose term ends alone, and not beyond it', async t => {
  const world = await ledByPg1()
  t.after(() => world.close())
  const value = `{"create_revision":${world.router.leadership.epoch?.createRevision},"drain_ms":5000}`
  world.store.txn([], [{ kind: 'put', key: 'pgherd/closing', value }])
  await world.clock.advance(10)
  const holding = () =>
    [...world.router.backends.values()].filter(({ holdsIdle }) => holdsIdle).map(({ name }) => name)
  assert.deepEqual(holding(), ['pg1'])
  const pg2 = world.scripts.get('pg2')
  assert.ok(pg2 !== undefined)
  world.promote(pg2)
  world.dropKey()
  world.lead('pg2')
  await world.clock.advance(100)
  assert.deepEqual(holding(), [])
})
