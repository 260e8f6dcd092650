// etcd's sharper edges over the HTTP gateway, and a storm of events.

import { after } from 'node:test'
import { makeWorkplace } from '../support/workplace.ts'
import { edges } from './dcs-edge-suite.ts'
import { startEtcd } from './dcs-rig.ts'
import { stormOfPuts } from './dcs-storm.ts'

const work = await makeWorkplace({ after })
stormOfPuts(await startEtcd(work, 60, 3), 'http')
edges(work, 'http')
