// The store's contract over a real etcd with three members, all well.

import { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { connect, startEtcd } from './dcs-rig.ts'
import { dcsContract } from './dcs-suite.ts'

const work = await makeWorkplace({ after })
const etcd = await startEtcd(work, 1, 3)

dcsContract('etcd', async () => ({
  clock: realClock,
  connect: scope => connect(etcd.endpoints, { scope }),
  pass: durationMs => new Promise(resolve => setTimeout(resolve, durationMs)),
}))
