import assert from 'node:assert/strict'
import test from 'node:test'
import { WaitError, waitFor } from '../../../src/demo/wait.ts'

test('a wait resolves to the first answer', async () => {
  let looks = 0
  const answer = await waitFor('the third look', { withinMs: 1_000, everyMs: 1 }, () => {
    looks += 1
    return looks === 3 ? looks : undefined
  })
  assert.equal(answer, 3)
})

test('a wait that runs out says what it waited for and what it saw last', async () => {
  await assert.rejects(
    waitFor('a leader', { withinMs: 30, everyMs: 5 }, note => {
      note('two replicas')
      return false
    }),
    (error: Error) =>
      error instanceof WaitError &&
      /^waited 0\.\d s for a leader; last seen: two replicas$/.test(error.message),
  )
})

test('an error in a look is not the end, but the last one is told', async () => {
  await assert.rejects(
    waitFor('an answer', { withinMs: 20, everyMs: 5 }, () => {
      throw new Error('connection refused')
    }),
    /last seen: connection refused/,
  )
})

test('a look that hangs does not outlive the deadline, nor hide what was seen', async () => {
  await assert.rejects(
    waitFor('an answer', { withinMs: 30 }, note => {
      note('no leader yet')
      return new Promise<boolean>(() => {})
    }),
    /last seen: no leader yet; the last look has not ended/,
  )
})

test('a wait ends when its signal aborts', async () => {
  const controller = new AbortController()
  const waiting = waitFor('nothing', { withinMs: 5_000, everyMs: 5, signal: controller.signal }, () => false)
  controller.abort(new Error('enough'))
  await assert.rejects(waiting, /enough|aborted/)
})
