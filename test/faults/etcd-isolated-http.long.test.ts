// A member of etcd that is cut off from the others, over the HTTP gateway.

import { after } from 'node:test'
import { EtcdCluster } from '../../src/demo/etcd.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { isolatedMembers } from './etcd-isolated.ts'

const work = await makeWorkplace({ after })
const network = await Network.create(work)
const etcd = await EtcdCluster.create(network, 3)
work.defer(() => etcd.remove())
await etcd.start()

isolatedMembers(etcd, network, 'http')
