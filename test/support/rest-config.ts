// The section `restapi` of an agent's file, as the loader would have read it.

import type { RestConfig } from '../../src/config/agent/types.ts'

/** A server that asks nobody for anything, at a port of its own, but for what `over` says. */
export function restConfig(over: Partial<RestConfig> = {}): RestConfig {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    connectAddress: { host: '127.0.0.1', port: 1 },
    authentication: undefined,
    readOnly: undefined,
    tls: undefined,
    allowlist: [],
    allowlistIncludesMembers: false,
    extraHeaders: {},
    serverTokens: 'original',
    ...over,
  }
}
