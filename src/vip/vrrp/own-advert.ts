// What an instance's configuration means: the advert that it sends, those that it expects, what its machine goes by. Pure.

import type { VrrpInstanceConfig } from '../../config/keepalived/types.ts'
import type { MachineSettings } from './machine.ts'
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

/** What the state machine goes by; `address` is our source. */
export function settingsOf(config: VrrpInstanceConfig, address: string): MachineSettings {
  const {
    version,
    advertMs,
    missingAdverts,
    preempts,
    preemptDelayMs,
    startsAs,
    answersLower,
    answersHigher,
  } = config
  return {
    version,
    address,
    advertMs,
    missingAdverts,
    preempts,
    preemptDelayMs,
    startsAs,
    answersLower,
    answersHigher,
  }
}
