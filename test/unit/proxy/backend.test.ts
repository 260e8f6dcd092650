import assert from 'node:assert/strict'
import test from 'node:test'
import { realClock } from '../../../src/platform/clock.ts'
import { Backend, CUT_BATCH, type Cuttable, type Gate } from '../../../src/proxy/backend.ts'
import type { CutReason } from '../../../src/proxy/cut-reason.ts'

class Guest implements Cuttable {
  readonly listener: string
  readonly hasBegun = true
  readonly isIdle = false
  readonly gate: Gate
  cutBecause: CutReason | undefined
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
    if (this.isElsewhere) this.tellCut = onCut
    else onCut?.()
    return true
  }
}

function crowded(count: number): { backend: Backend; guests: readonly Guest[] } {
  const backend = new Backend('pg1', { host: '10.0.0.1', port: 5432 }, realClock)
  return { backend, guests: Array.from({ length: count }, () => new Guest(backend)) }
}

test('a term of 10,000 sessions ends at once for every byte, and the sessions are ended in batches', async () => {
  const { backend, guests } = crowded(10_000)
  assert.equal(backend.retire('newer-epoch', 'pg2 took over').begun, 10_000)
  assert.ok(
    guests.every(({ gate }) => !gate.isOpen()),
    'a gate is still open',
  )
  const cut = () => guests.filter(({ cutBecause }) => cutBecause !== undefined).length
  assert.equal(cut(), CUT_BATCH)
  let turns = 0
  while (cut() < guests.length) {
    turns += 1
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.ok(turns >= guests.length / CUT_BATCH - 1, `${turns} turns of the loop`)
})

test('a cut is over with the last session of the last batch, and with the last word of another thread', async () => {
  const { backend, guests } = crowded(CUT_BATCH + 1)
  const [elsewhere] = guests
  assert.ok(elsewhere !== undefined)
  elsewhere.isElsewhere = true
  let isDone = false
  const cutting = backend.retire('newer-epoch', 'pg2 took over')
  cutting.whenDone(() => {
    isDone = true
  })
  assert.deepEqual([cutting.begun, isDone], [CUT_BATCH + 1, false])
  elsewhere.tellCut?.()
  assert.deepEqual([guests.at(-1)?.cutBecause, isDone], [undefined, false])
  await new Promise(resolve => setImmediate(resolve))
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
