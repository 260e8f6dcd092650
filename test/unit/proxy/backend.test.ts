import assert from 'node:assert/strict'
import test from 'node:test'
import { type Clock, realClock } from '../../../src/platform/clock.ts'
import { Backend, type Cuttable, type Gate } from '../../../src/proxy/backend.ts'
import type { CutReason } from '../../../src/proxy/cut-reason.ts'
import { SLICE_MIN, SLICE_MS } from '../../../src/proxy/slices.ts'
import { FakeClock } from '../../support/fake-clock.ts'

class Guest implements Cuttable {
  readonly listener: string
  hasBegun = true
  readonly isIdle = false
  readonly gate: Gate
  cutBecause: CutReason | undefined
  cuts = 0
  onCutting: (() => void) | undefined
  isElsewhere = false

  constructor(backend: Backend, listener = 'write') {
    this.listener = listener
    this.gate = backend.gate
    backend.join(this)
  }

  /** Tells of its end, which another thread brings about. */
  tellCut: (() => void) | undefined

  cut(reason: CutReason, _says: string, onCut?: () => void): boolean {
    this.cutBecause = reason
    this.cuts += 1
    this.onCutting?.()
    if (!this.hasBegun) return false
    if (this.isElsewhere) this.tellCut = onCut
    else onCut?.()
    return true
  }
}

function crowded(count: number, clock: Clock = realClock): { backend: Backend; guests: readonly Guest[] } {
  const backend = new Backend('pg1', { host: '10.0.0.1', port: 5432 }, clock)
  return { backend, guests: Array.from({ length: count }, () => new Guest(backend)) }
}

/** Sessions on a clock that moves on by `eachMs` for each of them that is cut. */
function slow(count: number, eachMs: number): ReturnType<typeof crowded> {
  const clock = new FakeClock()
  const made = crowded(count, clock)
  for (const guest of made.guests) guest.onCutting = () => clock.jump(eachMs)
  return made
}

const nextRound = () => new Promise(resolve => setImmediate(resolve))

/** How many were cut in each round of the loop, the first before `retire` returned. */
async function rounds({ backend, guests }: ReturnType<typeof crowded>): Promise<readonly number[]> {
  const cut = () => guests.filter(({ cutBecause }) => cutBecause !== undefined).length
  assert.equal(backend.retire('newer-epoch', 'pg2 took over').begun, guests.length)
  assert.ok(
    guests.every(({ gate }) => !gate.isOpen()),
    'a gate is still open',
  )
  const counts = [cut()]
  while (cut() < guests.length) {
    const before = cut()
    await nextRound()
    counts.push(cut() - before)
  }
  return counts
}

test('a term of 10,000 sessions ends at once for every byte, and the sessions are ended in slices of 20 ms', async () => {
  const eachMs = 0.04
  const counts = await rounds(slow(10_000, eachMs))
  assert.ok(
    counts.every(count => count * eachMs <= SLICE_MS + 1),
    `${counts} in a round`,
  )
  assert.equal(counts.length, 20)
})

test('on a slow machine 100 sessions are ended in each round, however long they take', async () => {
  assert.deepEqual(await rounds(slow(250, 1)), [SLICE_MIN, SLICE_MIN, 50])
})

test('sessions that have not begun are cut before anything else runs, and never again where they went', async () => {
  const { backend, guests } = slow(3 * SLICE_MIN, 1)
  const connecting = guests.slice(-SLICE_MIN - 1)
  for (const guest of connecting) guest.hasBegun = false
  let isDone = false
  const cutting = backend.retire('newer-epoch', 'pg2 took over')
  cutting.whenDone(() => {
    isDone = true
  })
  assert.deepEqual([cutting.begun, isDone], [2 * SLICE_MIN - 1, false])
  assert.ok(
    connecting.every(({ cuts }) => cuts === 1),
    'one still waits for the old leader',
  )
  // The new leader has taken them.
  for (const guest of connecting) guest.hasBegun = true
  await nextRound()
  assert.ok(
    guests.every(({ cuts }) => cuts === 1),
    'each is cut once',
  )
  assert.equal(isDone, true)
})

test('a cut is over with the last session of the last slice, and with the last word of another thread', async () => {
  const { backend, guests } = slow(SLICE_MIN + 1, 1)
  const [elsewhere] = guests
  assert.ok(elsewhere !== undefined)
  elsewhere.isElsewhere = true
  let isDone = false
  const cutting = backend.retire('newer-epoch', 'pg2 took over')
  cutting.whenDone(() => {
    isDone = true
  })
  assert.deepEqual([cutting.begun, isDone], [SLICE_MIN + 1, false])
  elsewhere.tellCut?.()
  assert.deepEqual([guests.at(-1)?.cutBecause, isDone], [undefined, false])
  await nextRound()
  assert.deepEqual([guests.at(-1)?.cutBecause, isDone], ['newer-epoch', true])
  let isDoneAtOnce = false
  new Backend('pg3', backend.address, realClock).retire('newer-epoch', 'pg2 took over').whenDone(() => {
    isDoneAtOnce = true
  })
  assert.ok(isDoneAtOnce, 'nobody was there')
})

test('a closed gate never opens again, and the next term of the same server has one of its own', () => {
  const { backend, guests } = crowded(1)
  backend.gate.untilMs = Number.POSITIVE_INFINITY
  backend.retire('newer-epoch', 'pg2 took over')
  const [old] = guests
  if (old !== undefined) old.gate.untilMs = Number.POSITIVE_INFINITY
  assert.deepEqual([old?.gate.isOpen(), backend.gate.isOpen()], [false, true])
  assert.deepEqual(old?.gate.closedBecause, { reason: 'newer-epoch', says: 'pg2 took over' })
})

test('sessions are counted for each listener, and one listener can be cut alone', () => {
  const { backend, guests } = crowded(2)
  const reader = new Guest(backend, 'read')
  assert.deepEqual([backend.sessionsOf('write'), backend.sessionsOf('read')], [2, 1])
  assert.equal(backend.cutAll('left-pool', 'gone', ({ listener }) => listener === 'read').begun, 1)
  assert.deepEqual([reader.cutBecause, guests[0]?.cutBecause], ['left-pool', undefined])
  backend.leave(reader)
  backend.leave(reader)
  assert.equal(backend.sessionsOf('read'), 0)
})
