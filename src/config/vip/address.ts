// Addresses with an optional prefix length, in their canonical form.

import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/** `10.0.0.9`, `10.0.0.9/24`, `fd00::9`; undefined for anything else. Without a length it is the address alone. */
export function parseVipAddress(
  text: string,
): { readonly address: string; readonly family: 4 | 6; readonly prefixLength: number } | undefined {
  const match = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text.trim())
  const [, host = '', length] = match ?? []
  const family = isIPv4(host) ? 4 : isIPv6(host) ? 6 : undefined
  if (family === undefined) return undefined
  const bits = family === 4 ? 32 : 128
  const prefixLength = length === undefined ? bits : Number(length)
  if (prefixLength < 1 || prefixLength > bits) return undefined
  const address = family === 4 ? host : new SocketAddress({ address: host, family: 'ipv6' }).address
  return { address, family, prefixLength }
}
