// The check of `option pgsql-check`, against a server on the loopback that is played here.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import test, { type TestContext } from 'node:test'
import type { CheckSpec } from '../../../src/config/proxy/check-types.ts'
import { judgeCheck } from '../../../src/health/check-verdict.ts'
import { PemFiles } from '../../../src/health/pem-files.ts'
import type { MemberHealth } from '../../../src/health/verdict.ts'
import { realClock } from '../../../src/platform/clock.ts'
import { silentLogger } from '../../../src/platform/log.ts'
import { createCheck, ruleOf } from '../../../src/proxy/checks.ts'
import { authOk, errorMessage, startup } from './bytes.ts'

/** A server that answers each start-up packet with the next of these. */
async function checked(t: TestContext, answers: readonly Buffer[]): Promise<MemberHealth | undefined> {
  const asked: Buffer[] = []
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', bytes => {
      asked.push(bytes)
      socket.end(answers[asked.length - 1] ?? '')
    })
  })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const bound = server.address()
  assert.ok(typeof bound === 'object' && bound !== null)
  const spec: CheckSpec = {
    question: { kind: 'postgres', user: 'haproxy' },
    target: { host: '127.0.0.1', port: bound.port },
    ...{ tls: undefined, sendProxy: false, rise: 1, fall: 2 },
    ...{ intervalMs: 1000, fastIntervalMs: 1000, downIntervalMs: 1000 },
    ...{ connectTimeoutMs: 20_000, timeoutMs: 20_000 },
  }
  const pem = await PemFiles.open('test', [], { clock: realClock, log: silentLogger })
  t.after(() => pem.stop())
  const check = createCheck(realClock, spec, pem)
  let health: MemberHealth | undefined
  for (const _ of answers)
    health = judgeCheck(health, await check.ask(20_000, new AbortController().signal), ruleOf(spec, false))
  assert.deepEqual(
    asked,
    answers.map(() => startup({ user: 'haproxy', database: 'postgres' })),
  )
  return health
}

const startingUp = errorMessage('57P03')
// answers of the server, is it up, why not
const rows: readonly (readonly [string, readonly Buffer[], boolean, string | undefined])[] = [
  ['a server that takes connections is up', [authOk], true, undefined],
  [
    'one that does not know the user takes connections all the same',
    [errorMessage('28000')],
    true,
    undefined,
  ],
  ['a server that is starting up is not up', [startingUp], false, 'its server is rejecting'],
  [
    'one that starts anew is down by the count',
    [authOk, startingUp, startingUp],
    false,
    'its server is rejecting',
  ],
  ['one lost answer is not a down', [authOk, startingUp, authOk], true, undefined],
  ['another protocol is no server', [Buffer.from('HTTP/1.0 200 OK\r\n\r\n')], false, 'its server is silent'],
]
for (const [name, answers, isUp, silence] of rows) {
  test(`option pgsql-check: ${name}`, async t => {
    const health = await checked(t, answers)
    assert.deepEqual([health?.counter.isUp, health?.silence], [isUp, silence])
  })
}
