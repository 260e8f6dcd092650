// The real REST server on a free loopback port with a fake agent behind it, and raw requests to it.

import { Registry } from 'prom-client'
import { ApiServer } from '../../src/api/server.ts'
import type { RestConfig } from '../../src/config/agent/types.ts'
import type { Dcs } from '../../src/dcs/dcs.ts'
import type { MemoryDcs } from '../../src/dcs/memory.ts'
import { PeerClient } from '../../src/health/peer.ts'
import { realClock } from '../../src/platform/clock.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { leaderStatus } from './agent-status.ts'
import { type FakeAgent, fakeAgent } from './fake-agent.ts'
import { rawExchange } from './raw-http.ts'
import { restConfig } from './rest-config.ts'

export interface RestServer<Store extends Dcs = MemoryDcs> {
  readonly agent: FakeAgent<Store>
  readonly port: number
  readonly server: ApiServer
  /** Everything that comes back for these bytes until the server closes. */
  readonly raw: (bytes: string) => Promise<string>
  readonly close: () => Promise<void>
}

/** Starts it; `deferred` is told how to stop it (`t.after`, or `after` of node:test). */
export function startRestServer(
  deferred: (close: () => Promise<void>) => void,
  rest: Partial<RestConfig> = {},
): Promise<RestServer> {
  const status = leaderStatus({ nextTurnAtMs: realClock.monotonicMs() + 10_000 })
  return serveRest(fakeAgent(realClock, status), deferred, rest)
}

/** The same for an agent that the test made. */
export async function serveRest<Store extends Dcs>(
  agent: FakeAgent<Store>,
  deferred: (close: () => Promise<void>) => void,
  rest: Partial<RestConfig> = {},
): Promise<RestServer<Store>> {
  const peers = new PeerClient()
  const server = new ApiServer({
    rest: restConfig(rest),
    agent,
    askPeers: (urls, by, signal) => peers.askAll(urls, by, signal),
    clock: realClock,
    log: silentLogger,
    registry: new Registry(),
    version: '0.1.0',
    audit: record => agent.audited.push(record),
  })
  const port = await server.listen()
  const close = async () => {
    await server.close()
    await peers.close()
  }
  deferred(close)
  return { agent, port, server, raw: bytes => rawExchange('127.0.0.1', port, bytes), close }
}
