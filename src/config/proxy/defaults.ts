// Defaults of the proxy's settings. One place, so that files, tests and messages agree.

import type {
  AccessConfig,
  CheckConfig,
  ListenerConfig,
  MemberFilter,
  OnNoBackend,
  SessionTimeouts,
} from './types.ts'

export const defaultFilter: MemberFilter = {
  sync: 'any',
  tags: {},
  lagBytesMax: undefined,
  lagMsMax: undefined,
  streamingOnly: false,
}

export const defaultOnNoBackend: OnNoBackend = {
  holdMs: 10_000,
  heldMax: 1000,
  afterHold: 'error',
  plainErrors: false,
  stopsListening: false,
  releasePerSecond: 100,
}

export const defaultTimeouts: SessionTimeouts = {
  loginMs: 15_000,
  connectMs: 4_000,
  queueMs: 10_000,
  clientMs: undefined,
  serverMs: undefined,
  clientFinMs: undefined,
  serverFinMs: undefined,
  clientUnackedMs: 60_000,
  serverUnackedMs: 60_000,
}

export const defaultAccess: AccessConfig = {
  rules: [],
  peerRules: [],
  perSourcePerSecond: undefined,
  perSecond: undefined,
}

export const defaultChecks: CheckConfig = {
  intervalMs: 500,
  timeoutMs: 500,
  rise: 1,
  fall: 2,
  fastIntervalMs: 250,
  downIntervalMs: 500,
  pingUser: 'pgherd',
  tls: { verify: true, caFile: undefined, certFile: undefined, keyFile: undefined },
}

/** All of a listener but its name, addresses and pool. */
export const defaultListener: Omit<ListenerConfig, 'name' | 'binds' | 'pool'> = {
  fallback: 'leader',
  filter: defaultFilter,
  balance: { kind: 'roundrobin' },
  connectionsMax: 10_000,
  onNoBackend: defaultOnNoBackend,
  timeouts: defaultTimeouts,
  access: defaultAccess,
  acceptsProxy: false,
  retries: 3,
  queueMax: undefined,
  keepAliveMs: 30_000,
  cutAfterMs: 30_000,
  shedMs: 60_000,
  servers: [],
  serverDefaults: { connectionsMax: undefined, sendProxy: undefined, source: undefined },
  allBackups: false,
}
