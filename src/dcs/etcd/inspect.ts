// How the endpoints are, for people: each is asked at the same time what it is and how long it takes.

import type { Clock } from '../../platform/clock.ts'
import type { Deadline } from '../../platform/deadline.ts'
import type { EndpointReport, StoreReport } from '../report.ts'
import type { Calls } from './calls.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { faultOf } from './faults.ts'
import type { Topology } from './topology.ts'
import type { Wire } from './wire.ts'

export interface ReportParts {
  readonly calls: Calls
  readonly endpoints: Endpoints
  readonly topology: Topology
  readonly wire: Wire
  readonly clock: Clock
}

/** Asks them all. Never throws. */
export async function inspectStore(parts: ReportParts, by: Deadline): Promise<StoreReport> {
  // Members that are silent may use up this part; each of the rest is asked for itself.
  await parts.topology.know(by.within(by.remainingMs() / 3))
  const { endpoints } = parts
  return { endpoints: await Promise.all(endpoints.all.map(endpoint => inspectOne(parts, endpoint, by))) }
}

async function inspectOne(parts: ReportParts, endpoint: Endpoint, by: Deadline): Promise<EndpointReport> {
  const { calls, clock, endpoints, wire } = parts
  const own = {
    endpoint: endpoint.name,
    isLearned: endpoint.learnedFrom !== undefined,
    isPreferred: endpoints.preferred === endpoint,
  }
  try {
    const status = await calls.attempt(endpoint, 'status', by, (rpc, call) => rpc.status(call))
    const sentAtMs = clock.monotonicMs()
    const range = { key: wire.key('leader'), keysOnly: true }
    const read = await calls
      .attempt(endpoint, 'check', by, (rpc, call) => rpc.range(range, call))
      .then(
        () => undefined,
        (error: unknown) => faultOf(error, endpoint.name).detail,
      )
    const { clusterId, memberId, raftTerm, revision } = status.header
    return {
      ...own,
      fault: read,
      version: status.version,
      clusterId,
      isRaftLeader: status.leaderId === memberId,
      raftTerm,
      revision,
      dbBytes: status.dbBytes,
      readMs: read === undefined ? clock.monotonicMs() - sentAtMs : undefined,
    }
  } catch (error) {
    return { ...own, ...nothing, fault: faultOf(error, endpoint.name).detail }
  }
}

const nothing = {
  version: undefined,
  clusterId: undefined,
  isRaftLeader: false,
  raftTerm: undefined,
  revision: undefined,
  dbBytes: undefined,
  readMs: undefined,
}
