// Addresses in their canonical form, with an optional prefix length.

import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/** `10.0.0.9`, `10.0.0.9/24`, `fd00::9`; undefined for anything else. Without a length it is the address alone. */
export function parseVipAddress(
  text: string,
): { readonly address: string; readonly family: 4 | 6; readonly prefixLength: number } | undefined {
  const match = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text.trim())
  const [, host = '', length] = match ?? []
  const canonical = canonicalAddress(host)
  if (canonical === undefined) return undefined
  const { address, family } = canonical
  const bits = family === 4 ? 32 : 128
  const prefixLength = length === undefined ? bits : Number(length)
  if (prefixLength < 1 || prefixLength > bits) return undefined
  return { address, family, prefixLength }
}

/** The text that the kernel and the wire have for it: `FD77:0::9` is `fd77::9`. The zone of `fe80::9%eth0` is left out. */
export function canonicalAddress(
  text: string,
): { readonly address: string; readonly family: 4 | 6 } | undefined {
  if (isIPv4(text)) return { address: text, family: 4 }
  if (!isIPv6(text)) return undefined
  return { address: new SocketAddress({ address: text, family: 'ipv6' }).address, family: 6 }
}
