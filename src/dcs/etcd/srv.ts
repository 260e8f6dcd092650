// Members of etcd found in DNS, as etcd itself publishes them for its clients.

import { type Resolver, resolveSrv } from 'node:dns/promises'
import type { Deadline } from '../../platform/deadline.ts'
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

/** Time for the answer to one of them; they are asked at the same time. */
const LOOKUP_MS = 3_000

/**
 * Endpoints as `http(s)://host:port`, those of the lowest priority number first. Throws HaError `E_DCS_UNREACHABLE` naming the
 * records that were asked for when there are none, after 3 s at most, or at the deadline.
 */
export async function lookupEndpoints(
  { domain, suffix }: SrvQuestion,
  by: Deadline,
  resolve: ResolveSrv = resolveSrv,
): Promise<readonly string[]> {
  const soon = by.within(LOOKUP_MS)
  const answers = await Promise.allSettled(
    SERVICES.map(async ({ name, scheme }) => {
      const record = `_${name}${suffix === undefined ? '' : `-${suffix}`}._tcp.${domain}`
      const found = await soon.run(`querySrv ${record}`, () => resolve(record))
      const sorted = [...found].sort((a, b) => a.priority - b.priority || b.weight - a.weight)
      return sorted.map(srv => `${scheme}://${srv.name.replace(/\.$/, '')}:${srv.port}`)
    }),
  )
  const found = answers.find(answer => answer.status === 'fulfilled' && answer.value.length > 0)
  if (found?.status === 'fulfilled') return found.value
  const failures = answers.flatMap(answer => (answer.status === 'rejected' ? [messageOf(answer.reason)] : []))
  throw new HaError('E_DCS_UNREACHABLE', `etcd: no SRV records for ${domain}: ${failures.join('; ')}`, {
    retryable: true,
  })
}
