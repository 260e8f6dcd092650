// The REST server while etcd or the server keeps callers waiting: they share what is asked, their number has a bound, and a
// health check gets through whatever they do.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test, { after } from 'node:test'
import type { AgentStatus } from '../../src/api/agent-port.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import { dynamicConfig } from '../../src/config/agent/dynamic.ts'
import { MemoryDcs } from '../../src/dcs/memory.ts'
import { MemoryStore } from '../../src/dcs/memory-store.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import type { Deadline } from '../../src/platform/deadline.ts'
import { leaderStatus, threeMembers } from '../support/agent-status.ts'
import { FakeAgent } from '../support/fake-agent.ts'
import { rawExchange } from '../support/raw-http.ts'
import { serveRest } from '../support/rest-server.ts'

const CALLERS = 600
const WAITING_MAX = 100
const CONNECTIONS_MAX = 500

class CountedStore extends MemoryDcs {
  reads = 0
  readsAtOnceMax = 0
  #reading = 0

  override async read(by: Deadline): Promise<ClusterView> {
    this.reads += 1
    this.#reading += 1
    this.readsAtOnceMax = Math.max(this.readsAtOnceMax, this.#reading)
    return await super.read(by).finally(() => {
      this.#reading -= 1
    })
  }
}

/** Its server does not answer before the deadline. */
class SilentAgent extends FakeAgent<CountedStore> {
  isSilent = false
  looks = 0
  looksAtOnceMax = 0
  #looking = 0

  override async freshStatus(by: Deadline): Promise<AgentStatus> {
    this.looks += 1
    this.#looking += 1
    this.looksAtOnceMax = Math.max(this.looksAtOnceMax, this.#looking)
    if (this.isSilent) await realClock.sleep(by.remainingMs())
    this.#looking -= 1
    return this.status()
  }
}

const store = new CountedStore(new MemoryStore({ clock: realClock }))
const config = dynamicConfig({ retry_timeout: 3 }, true)
const agent = new SilentAgent(realClock, leaderStatus({ config }), store)
const { port, raw } = await serveRest(agent, after)
await agent.put(threeMembers)

const get = (target: string) => rawExchange('127.0.0.1', port, `GET ${target} HTTP/1.0\r\n\r\n`, 20_000)
const codeOf = (answer: string) => answer.split(' ', 2)[1]

/** So many callers, each of which has asked before the next one comes; their answers. */
async function callers(count: number, targets: readonly string[]): Promise<readonly Promise<string>[]> {
  const answers: Promise<string>[] = []
  for (let n = 0; n < count; n += 1) {
    const socket = connect(port, '127.0.0.1')
    answers.push(
      new Promise(resolve => {
        let text = ''
        socket.setEncoding('utf8').on('data', chunk => {
          text += chunk
        })
        socket.on('error', () => {})
        socket.on('close', () => resolve(text))
      }),
    )
    await new Promise<void>(resolve =>
      socket.on('connect', () =>
        socket.write(`GET ${targets[n % targets.length]} HTTP/1.0\r\n\r\n`, () => resolve()),
      ),
    )
  }
  return answers
}

/** How often each code came; none: no answer. */
function countCodes(answers: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[codeOf(answer) ?? 'none'] = (counts[codeOf(answer) ?? 'none'] ?? 0) + 1
  return counts
}

async function connections(): Promise<number> {
  const metrics = await get('/metrics')
  return Number(/^pgherd_api_connections (\d+)$/m.exec(metrics)?.[1])
}

/** Twenty checks, one after the other: each must be good. Returns how long the slowest took, in milliseconds. */
async function checkAll(): Promise<number> {
  let slowestMs = 0
  for (let n = 0; n < 20; n += 1) {
    const beganMs = performance.now()
    assert.equal(await raw('OPTIONS /primary HTTP/1.0\r\n\r\n'), 'HTTP/1.0 200 OK\r\n\r\n')
    slowestMs = Math.max(slowestMs, performance.now() - beganMs)
  }
  return slowestMs
}

test('while etcd is silent callers share one read, a hundred wait, the others are told at once, and checks get through', async t => {
  t.after(() => store.setFaults({}))
  store.setFaults({ answersLost: true })
  const answers = await callers(CALLERS, ['/cluster', '/config'])
  const slowestMs = await checkAll()
  const open = await connections()
  const counts = countCodes(await Promise.all(answers))
  t.diagnostic(
    `${CALLERS} callers: ${JSON.stringify(counts)}; ${store.readsAtOnceMax} reads at once, ${open} connections, the slowest check ${slowestMs.toFixed(1)} ms`,
  )
  assert.ok(open <= CONNECTIONS_MAX, `${open} connections`)
  assert.equal(store.readsAtOnceMax, 1)
  // Who waited in vain has the last view. On a slow machine the first are answered before the last have come.
  const { 200: waited = 0, 503: refused = 0, ...others } = counts
  assert.deepEqual(others, {})
  assert.ok(waited >= WAITING_MAX && refused > 0, JSON.stringify(counts))
})

test('a caller that comes while a read is under way waits for another one, which it shares', async t => {
  t.after(() => store.setFaults({}))
  store.setFaults({ delayMs: 300 })
  const before = store.reads
  const first = get('/cluster')
  await waitFor('the first read', { withinMs: 10_000, everyMs: 5 }, async () => store.reads > before)
  const others = Array.from({ length: 50 }, () => get('/cluster'))
  assert.deepEqual(countCodes(await Promise.all([first, ...others])), { 200: 51 })
  assert.equal(store.reads - before, 2)
})

test('callers that have gone keep no place', async t => {
  t.after(() => store.setFaults({}))
  store.setFaults({ answersLost: true })
  const gone = Array.from({ length: WAITING_MAX }, () =>
    rawExchange('127.0.0.1', port, 'GET /cluster HTTP/1.0\r\n\r\n', 200).catch(() => 'gone'),
  )
  await Promise.all(gone)
  await waitFor('their ends', { withinMs: 10_000, everyMs: 20 }, async () => (await connections()) === 1)
  store.setFaults({})
  assert.equal(codeOf(await get('/cluster')), '200')
})

test('while the server is silent a hundred wait for its word, and the others have the last one', async t => {
  t.after(() => {
    agent.isSilent = false
  })
  agent.isSilent = true
  const looks = agent.looks
  const answers = await callers(CALLERS, ['/patroni'])
  await checkAll()
  assert.ok((await connections()) <= CONNECTIONS_MAX)
  assert.deepEqual(countCodes(await Promise.all(answers)), { 200: CALLERS })
  // A busy machine takes longer than a second for all of them: then the first have their answers before the last ask.
  assert.ok(agent.looksAtOnceMax <= WAITING_MAX, `${agent.looksAtOnceMax} waited at once`)
  assert.ok(agent.looks - looks >= WAITING_MAX)
})
