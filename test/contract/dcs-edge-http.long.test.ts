// etcd's sharper edges over the HTTP gateway.

import { after } from 'node:test'
import { makeWorkplace } from '../support/workplace.ts'
import { edges } from './dcs-edge-suite.ts'

edges(await makeWorkplace({ after }), 'http')
