// Cancel requests on their way to servers that accept and never close, as a frozen one does.

import assert from 'node:assert/strict'
import test from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { CANCELS_MAX, CancelRequests } from '../../src/proxy/cancel.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { Stage } from './proxy-wire.ts'

const SECRET = '0badcafe'
const way = { source: undefined, sendProxy: undefined }

test('cancel requests never have more connections than are kept free for them, and a known key still gets through', async t => {
  const stages = await Promise.all([Stage.open(), Stage.open(), Stage.open()])
  t.after(() => stages.forEach(stage => void stage.close()))
  const targets = stages.map(({ address }, index) => {
    const backend = new Backend(`pg${index}`, address, realClock)
    return { backend, gate: backend.gate, way }
  })
  const [first] = targets
  assert.ok(first !== undefined)
  // The servers do not answer for as long as this test wants.
  const requests = new CancelRequests(new FakeClock())
  const open = () => stages.reduce((sum, { guests }) => sum + guests.length, 0)
  const results: boolean[] = []
  const forward = (to: typeof targets, isKnown: boolean) =>
    void requests.forward(to, isKnown, results.length, SECRET).then(isSent => results.push(isSent))
  for (let count = 0; count < 40; count += 1) forward(targets, false)
  await waitFor('the requests', { withinMs: 20_000, everyMs: 5 }, () => open() === 48)
  assert.deepEqual(
    results,
    Array.from({ length: 24 }, () => false),
    'of 40 to three servers each, 16 fit into 50',
  )
  for (let count = 0; count < 60; count += 1) forward([first], true)
  await waitFor('those with a known key', { withinMs: 20_000, everyMs: 5 }, () => open() === CANCELS_MAX)
  assert.equal(results.filter(isSent => !isSent).length, 24 + 8)
  for (const { guests } of stages) for (const { socket } of guests) socket.end()
  await waitFor('their ends', { withinMs: 20_000, everyMs: 5 }, () => results.length === 100)
  const taken = stages[0]?.guests.length ?? 0
  const one = requests.forward([first], false, 1, SECRET)
  const guest = await stages[0]?.guest(taken)
  guest?.socket.end()
  assert.equal(await one, true, 'there is room again')
})
