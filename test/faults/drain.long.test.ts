// Planned switchovers while clients connect, keep idle sessions, run transactions of a second and a half and a benchmark, in
// clear text and in TLS.

import test, { after } from 'node:test'
import { tlsParameters } from '../support/certificate.ts'
import { startCluster } from '../support/fixture.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { switchOverUnderLoad } from './drain.ts'

const place = await makeWorkplace({ after })
const fixture = await startCluster(
  { after },
  { etcd: 1, members: 3, proxies: 1, parameters: await tlsParameters(place.data) },
)

test('planned switchovers: no connect fails, no short transaction is aborted, idle sessions end with 57P01', async t => {
  await switchOverUnderLoad(t, fixture, 2)
})

test('twenty planned switchovers in a row: no connect fails, no short transaction is aborted', async t => {
  await switchOverUnderLoad(t, fixture, 20)
})
