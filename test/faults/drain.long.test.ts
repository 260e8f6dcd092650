// Planned switchovers while clients connect, keep idle sessions and run transactions of a second and a half.

import test, { after } from 'node:test'
import { startCluster } from '../support/fixture.ts'
import { switchOverUnderLoad } from './drain.ts'

const { cluster } = await startCluster({ after }, { etcd: 1, members: 3, proxies: 1 })

test('planned switchovers: no connect fails, no short transaction is aborted, idle sessions end with 57P01', async t => {
  await switchOverUnderLoad(t, cluster, 2)
})

test('twenty planned switchovers in a row: no connect fails, no short transaction is aborted', async t => {
  await switchOverUnderLoad(t, cluster, 20)
})
