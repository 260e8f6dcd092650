// The store's contract over etcd's HTTP gateway, on three real members, all well.

import { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { connect, startEtcd } from './dcs-rig.ts'
import { dcsContract } from './dcs-suite.ts'

const work = await makeWorkplace({ after })
const etcd = await startEtcd(work, 2, 3)

dcsContract('http', async () => ({
  clock: realClock,
  connect: scope => connect(etcd.endpoints, { scope, transport: 'http' }),
  pass: durationMs => new Promise(resolve => setTimeout(resolve, durationMs)),
}))
