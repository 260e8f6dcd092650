import assert from 'node:assert/strict'
import test from 'node:test'
import type { Deadline } from '../../../src/platform/deadline.ts'
import { StorageCheck, WRITE_EVERY_MS, type WriteAnswer } from '../../../src/postgres/storage-check.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const PATIENCE_MS = 60_000

/** Storage that answers when the test says so, or at the write's deadline. */
function scene() {
  const clock = new FakeClock()
  let answer: (said: WriteAnswer) => void = () => {}
  let writes = 0
  const check = new StorageCheck(clock, (by: Deadline) => {
    writes += 1
    return new Promise(resolve => {
      answer = resolve
      clock.setTimer(by.remainingMs(), () => resolve({ kind: 'silent' }))
    })
  })
  const after = async (ms: number, said?: WriteAnswer) => {
    await clock.advance(ms)
    check.begin(PATIENCE_MS)
    if (said !== undefined) answer(said)
    await Promise.resolve()
    return check.word
  }
  return { after, check, count: () => writes }
}

const TAKEN: WriteAnswer = { kind: 'taken' }
const FULL: WriteAnswer = { kind: 'refused', says: 'No space left on device' }

test('storage is written to at once in a while, however often it is looked at', async () => {
  const { after, count } = scene()
  for (let look = 0; look < 11; look += 1) await after(WRITE_EVERY_MS / 5, TAKEN)
  assert.equal(count(), 3)
})

test('nothing is said before the first answer, unless that takes long', async () => {
  const { after } = scene()
  assert.equal(await after(0), undefined)
  assert.equal(await after(500), undefined)
  assert.deepEqual(await after(2_500), { silentMs: 3_000, refusal: undefined })
})

test('a write that is late is an answer all the same: a busy disk does not hang', async () => {
  const { after } = scene()
  await after(0)
  assert.equal((await after(30_000))?.silentMs, 30_000)
  assert.deepEqual(await after(100, TAKEN), { silentMs: 0, refusal: undefined })
})

test('while one write hangs no other is begun, and silence is counted from the first on', async () => {
  const { after, count } = scene()
  await after(0)
  for (let second = 0; second < 59; second += 1) await after(1_000)
  assert.equal(count(), 1)
  await after(1_000)
  await after(1_000)
  assert.equal(count(), 2, 'it was given up at its deadline')
  assert.equal((await after(0))?.silentMs, 61_000)
})

test('a refusal is an answer, told until the storage takes a write again', async () => {
  const { after } = scene()
  assert.deepEqual(await after(0, FULL), { silentMs: 0, refusal: 'No space left on device', refusedMs: 0 })
  assert.equal((await after(WRITE_EVERY_MS, FULL))?.refusal, 'No space left on device')
  assert.equal((await after(WRITE_EVERY_MS))?.refusedMs, 2 * WRITE_EVERY_MS, 'counted from the first on')
  assert.deepEqual(await after(0, TAKEN), { silentMs: 0, refusal: undefined })
})

test('what was learnt of one server is not said of the next', async () => {
  const { after, check } = scene()
  await after(0, FULL)
  await after(WRITE_EVERY_MS)
  check.forget()
  assert.equal(check.word, undefined)
  // The answer to the old write.
  assert.equal(await after(0, FULL), undefined)
})
