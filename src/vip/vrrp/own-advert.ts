// What an instance's configuration means on the wire: the advert that it sends and those that it expects. Pure.

import type { VrrpInstanceConfig } from '../../config/keepalived/types.ts'
import { type Auth, encodeAdvert } from './packet.ts'
import type { Expectation } from './receive.ts'

/** Bytes of our own advert to one destination. */
export function ownAdvert(
  config: VrrpInstanceConfig,
  priority: number,
  source: string,
  destination: string,
): Buffer {
  const { version, routerId, advertMs, addresses, sumsMessageOnly } = config
  return encodeAdvert(
    {
      version,
      routerId,
      priority,
      intervalMs: advertMs,
      auth: authOf(config),
      addresses: addresses.map(({ address }) => address),
    },
    { source, destination },
    sumsMessageOnly ? 'message' : 'pseudo-header',
  )
}

export function expectationOf(config: VrrpInstanceConfig, ownAddress: string): Expectation {
  const { version, family, routerId, advertMs, addresses, peers, checksPeer } = config
  return {
    version,
    family,
    routerId,
    advertMs,
    auth: authOf(config),
    addresses: addresses.map(({ address }) => address),
    ownAddress,
    peers,
    checksPeer,
  }
}

function authOf({ password, version }: VrrpInstanceConfig): Auth {
  return password === undefined || version === 3 ? { kind: 'none' } : { kind: 'pass', password }
}
