// The family of an address, its bytes, and the order of two addresses. Pure; texts are addresses already.

import { addressBytes } from '../address-text.ts'

export type Family = 4 | 6

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/** The 4 or 16 bytes of an address. */
export function bytesOf(address: string): Buffer {
  return addressBytes(address, familyOf(address))
}

/** Numeric order of two addresses of one family: below zero when `a` comes first. */
export function compareAddresses(a: string, b: string): number {
  return Buffer.compare(bytesOf(a), bytesOf(b))
}
