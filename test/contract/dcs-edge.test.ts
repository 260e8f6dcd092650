// etcd's sharper edges over gRPC.

import { after } from 'node:test'
import { makeWorkplace } from '../support/workplace.ts'
import { edges } from './dcs-edge-suite.ts'

edges(await makeWorkplace({ after }), 'grpc')
