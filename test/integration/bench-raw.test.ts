// The raw load of the benchmark: what the figures of a cut are made of.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { nowMs } from '../../bench/raw/monotonic.ts'
import { RawLoad } from '../../bench/raw/processes.ts'
import { greeting } from '../../bench/raw/protocol.ts'
import { waitFor } from '../../src/demo/wait.ts'

const HOST = '127.0.0.1'
const WITHIN_MS = 10_000
const ONE_LATER_MS = 150

const load = await RawLoad.start(HOST, ['one', 'two'])
after(() => load.stop())

/** What the peer answers to this router's check. */
async function check(name: string): Promise<number> {
  const answer = await fetch(`http://${HOST}:${load.checkPorts[name]}/primary`, {
    signal: AbortSignal.timeout(WITHIN_MS),
  })
  await answer.text()
  return answer.status
}

test('a mark-down is for one router alone, and counts from the first answer that this one got', async () => {
  assert.deepEqual([await check('one'), await check('two')], [200, 200])
  const fromMs = nowMs()
  let downAtMs: number | undefined
  const told = load.markDown('one').then(atMs => {
    downAtMs = atMs
  })
  for (let count = 0; count < 5; count += 1) {
    assert.equal(await check('two'), 200)
    await sleep(10)
  }
  assert.equal(downAtMs, undefined, 'nobody has told this router yet')
  await waitFor('the check of one to fail', { withinMs: WITHIN_MS }, async () => (await check('one')) === 503)
  await told
  assert.ok(downAtMs !== undefined && downAtMs > fromMs && downAtMs <= nowMs(), `${downAtMs}`)
  assert.equal(await check('two'), 200)
})

test('the last of many sessions says when all have ended', async t => {
  const sessions: Socket[] = []
  const router = createServer(socket => {
    sessions.push(socket)
    socket.on('error', () => {})
    socket.once('data', () => socket.write(greeting))
  })
  t.after(() => router.close())
  router.listen(0, HOST)
  await once(router, 'listening')
  const target = { host: HOST, port: (router.address() as AddressInfo).port }
  await load.do({ kind: 'open', clients: 4 }, target)
  const [last, ...first] = sessions
  const closed = load.do({ kind: 'closed' }, target)
  first[0]?.resetAndDestroy()
  for (const session of first) session.end()
  await sleep(ONE_LATER_MS)
  const lastMs = nowMs()
  last?.end()
  const { lastEndMs } = await closed
  assert.ok(lastEndMs >= lastMs && lastEndMs <= nowMs(), `${lastEndMs} is not behind ${lastMs}`)
})
