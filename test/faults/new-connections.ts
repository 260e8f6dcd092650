// New connections at a steady rate, each inserting one row, half of them in TLS: what HAProxy set-ups answer with error
// 25006 when a write reaches a server in recovery.

import assert from 'node:assert/strict'
import type { Cluster } from '../../src/demo/cluster.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { createWritesTable, Writer } from '../../src/demo/writer.ts'
import { tlsParameters } from '../support/certificate.ts'
import { startCluster } from '../support/fixture.ts'
import { makeWorkplace, type Scope } from '../support/workplace.ts'

const ROUNDS = 5
const RATE_PER_SECOND = 50

/** Three members with TLS and synchronous commits, three etcd members, one proxy. */
export async function startTlsCluster(scope: Scope): Promise<Cluster> {
  const place = await makeWorkplace(scope)
  const parameters = { synchronous_standby_names: 'ANY 1 (*)', ...(await tlsParameters(place.data)) }
  return (await startCluster(scope, { etcd: 3, members: 3, proxies: 1, parameters })).cluster
}

/** Loads the cluster through five faults; no error 25006 may come of it. Returns the figures. */
export async function loadThrough(
  cluster: Cluster,
  name: string,
  fault: () => Promise<void>,
): Promise<string> {
  const leader = await cluster.leader()
  await createWritesTable(sql => leader.query(sql), `loop_${name}`)
  const [proxy] = cluster.proxies
  assert.ok(proxy)
  // In clear text the proxy can see what a server says of itself; inside TLS its routing alone must be right.
  const writers = [{}, { ssl: { rejectUnauthorized: false } }].map(tls =>
    Writer.start({
      target: { ...proxy.write, ...tls },
      table: `loop_${name}`,
      // Some wait while nobody leads and others go on trying; with a hundred, this machine does nothing but accept them.
      sessions: 12,
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
    await cluster.complete(120_000)
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
