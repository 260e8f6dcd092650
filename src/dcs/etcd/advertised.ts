// Which of the addresses that etcd members advertise for clients we may use. They are written by whoever set up etcd, often
// with defaults that mean "this machine", and a wrong one must do no harm. Pure.

import { type EndpointAddress, parseEndpoint } from './options.ts'
import type { MembersAnswer } from './rpc.ts'

/** A member's address from the list, with the member's id. */
export interface Advertised {
  readonly address: EndpointAddress
  readonly memberId: string
}

/** More members than any etcd has; a list that is longer is cut. */
const LEARNED_MAX = 15

/**
 * The addresses worth trying besides the configured ones, best first. Left out are: those configured already; those that mean
 * the machine itself, unless everything configured does (a cluster on one machine); unspecified and link-local ones; and
 * those that are less protected than what was configured, or that speak otherwise.
 */
export function usableAddresses(
  members: MembersAnswer['members'],
  configured: readonly EndpointAddress[],
): readonly Advertised[] {
  const names = new Set(configured.map(({ name }) => name))
  const isLocalSetup = configured.length > 0 && configured.every(({ host }) => isLoopback(host))
  const schemes = new Set(configured.map(({ secure }) => secure))
  const usable: Advertised[] = []
  for (const { id, clientUrls } of members) {
    for (const url of clientUrls) {
      const address = addressOf(url)
      if (address === undefined || names.has(address.name) || !schemes.has(address.secure)) continue
      if (isNowhere(address.host) || (isLoopback(address.host) && !isLocalSetup)) continue
      names.add(address.name)
      usable.push({ address, memberId: id })
    }
  }
  return usable.slice(0, LEARNED_MAX)
}

function addressOf(url: string): EndpointAddress | undefined {
  if (!/^https?:\/\//.test(url)) return undefined
  try {
    return parseEndpoint(url)
  } catch {
    return undefined
  }
}

function isLoopback(host: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|::1|::ffff:127(\.\d+){3})$/i.test(host)
}

function isNowhere(host: string): boolean {
  return /^(0(\.0){0,3}|::|169\.254\..*|fe80:.*)$/i.test(host)
}
