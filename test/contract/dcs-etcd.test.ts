// The store's contract over a real etcd with three members, all well, by both transports.

import { after } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { connect, startEtcd } from './dcs-rig.ts'
import { dcsContract } from './dcs-suite.ts'

const work = await makeWorkplace({ after })
const etcd = await startEtcd(work, 1, 3)

for (const transport of ['grpc', 'http'] as const) {
  dcsContract(`etcd-${transport}`, async () => ({
    clock: realClock,
    connect: scope => connect(etcd.endpoints, { scope, transport }),
    pass: durationMs => new Promise(resolve => setTimeout(resolve, durationMs)),
  }))
}
