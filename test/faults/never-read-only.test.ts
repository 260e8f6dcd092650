// The error that HAProxy set-ups are known for: a write that reaches a server in recovery (25006). Not once, ever.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { tlsParameters } from '../support/certificate.ts'
import { startCluster } from '../support/fixture.ts'
import { makeWorkplace } from '../support/workplace.ts'

const ROUNDS = 5
const RATE_PER_SECOND = 50

const place = await makeWorkplace({ after })
const { cluster } = await startCluster(
  { after },
  {
    etcd: 3,
    members: 3,
    proxies: 1,
    parameters: { synchronous_standby_names: 'ANY 1 (*)', ...(await tlsParameters(place.data)) },
  },
)

/** New connections at a steady rate, each inserting one row, around `rounds` faults; no error 25006 may come of it. */
async function load(name: string, fault: () => Promise<void>): Promise<string> {
  const leader = await cluster.leader()
  await createWritesTable(sql => leader.query(sql), `loop_${name}`)
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  // In clear text the proxy can see what a server says of itself; inside TLS its routing alone must be right.
  const writers = [{}, { ssl: { rejectUnauthorized: false } }].map(tls =>
    Writer.start({
      target: { ...proxy.write, ...tls },
      table: `loop_${name}`,
      sessions: 5,
      ratePerSecond: RATE_PER_SECOND / 2,
      reconnect: true,
    }),
  )
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = writers.map(({ tally }) => tally.acknowledged)
    await waitFor('rows to flow, in clear text and in TLS', { withinMs: 60_000 }, () =>
      writers.every(({ tally }, index) => tally.acknowledged > (before[index] ?? 0) + RATE_PER_SECOND / 2),
    )
    await fault()
    await cluster.complete(60_000)
  }
  const summaries = await Promise.all(
    writers.map(async writer => {
      const tally = await writer.stop()
      return tally.summary(tally.latestMs)
    }),
  )
  for (const { readOnlyErrors } of summaries) {
    assert.equal(readOnlyErrors, 0, 'a write reached a server in recovery')
  }
  return summaries
    .map(
      ({ acknowledged, longestGapMs, errors }, index) =>
        `${index === 0 ? 'clear' : 'TLS'}: ${acknowledged} rows, longest gap ${longestGapMs} ms, errors ${JSON.stringify(errors)}`,
    )
    .join('; ')
}

test('a new connection for every row through 5 switchovers: zero errors 25006', async t => {
  const told = await load('switchovers', async () => {
    const old = await cluster.leader()
    const body = JSON.stringify({ leader: old.name })
    const answer = await old.rest('/switchover', {
      method: 'POST',
      body,
      signal: AbortSignal.timeout(30_000),
    })
    assert.equal(answer.code, 200, answer.body)
    await cluster.leader({ not: [old] })
  })
  t.diagnostic(told)
})

test('a new connection for every row through 5 crashes of the leader: zero errors 25006', async t => {
  const told = await load('crashes', async () => {
    const old = await cluster.leader()
    await old.host.kill()
    await cluster.leader({ not: [old] })
    await old.agent.start()
  })
  t.diagnostic(told)
})
