// Members of etcd found in DNS, as etcd itself publishes them for its clients.

import { type Resolver, resolveSrv } from 'node:dns/promises'
import { HaError, messageOf } from '../../platform/errors.ts'

export interface SrvQuestion {
  readonly domain: string
  /** Of the service's name: `_etcd-client-<suffix>._tcp`. */
  readonly suffix: string | undefined
}

export type ResolveSrv = Resolver['resolveSrv']

/** In this order: the first that has records is used. */
const SERVICES = [
  { name: 'etcd-client-ssl', scheme: 'https' },
  { name: 'etcd-client', scheme: 'http' },
  { name: 'etcd-ssl', scheme: 'https' },
  { name: 'etcd', scheme: 'http' },
] as const

/**
 * Endpoints as `http(s)://host:port`, those of the lowest priority number first. Throws HaError `E_DCS_UNREACHABLE` naming the
 * records that were asked for when there are none; takes as long as the resolver does.
 */
export async function lookupEndpoints(
  { domain, suffix }: SrvQuestion,
  resolve: ResolveSrv = resolveSrv,
): Promise<readonly string[]> {
  const failures: string[] = []
  for (const { name, scheme } of SERVICES) {
    const record = `_${name}${suffix === undefined ? '' : `-${suffix}`}._tcp.${domain}`
    try {
      const found = await resolve(record)
      const sorted = [...found].sort((a, b) => a.priority - b.priority || b.weight - a.weight)
      if (sorted.length > 0)
        return sorted.map(srv => `${scheme}://${srv.name.replace(/\.$/, '')}:${srv.port}`)
    } catch (error) {
      failures.push(messageOf(error))
    }
  }
  throw new HaError('E_DCS_UNREACHABLE', `etcd: no SRV records for ${domain}: ${failures.join('; ')}`, {
    retryable: true,
  })
}
