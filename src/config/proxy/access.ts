// Addresses and networks: reading them, and which rule of a list lets a source in. Pure.

import type { AccessRule, AccessTerm, AddressRange } from './types.ts'

const V4_PREFIX: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]

/** The 16 bytes of an address; IPv4 in its mapped form, so that `::ffff:10.0.0.1` and `10.0.0.1` are one. */
export function addressBytes(text: string): readonly number[] | undefined {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) {
    const four = text.split('.').map(Number)
    return four.some(byte => byte > 255) ? undefined : [...V4_PREFIX, ...four]
  }
  return v6Bytes(text.replace(/%.*$/, ''))
}

function v6Bytes(text: string): readonly number[] | undefined {
  if (!/^[0-9a-fA-F:.]+$/.test(text) || !text.includes(':')) return undefined
  const tail = /^(.*:)(\d{1,3}(?:\.\d{1,3}){3})$/.exec(text)
  const four = tail === null ? undefined : addressBytes(tail[2] ?? '')
  if (tail !== null && four === undefined) return undefined
  const words = tail === null ? text : `${tail[1]}${hexPair(four, 12)}:${hexPair(four, 14)}`
  const halves = words.split('::')
  if (halves.length > 2) return undefined
  const [left = [], right = []] = halves.map(half => (half === '' ? [] : half.split(':')))
  const missing = 8 - left.length - right.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const all = [...left, ...Array.from({ length: missing }, () => '0'), ...right]
  if (all.some(word => !/^[0-9a-fA-F]{1,4}$/.test(word))) return undefined
  return all.flatMap(word => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 0xff])
}

function hexPair(bytes: readonly number[] | undefined, at: number): string {
  return (((bytes?.[at] ?? 0) << 8) | (bytes?.[at + 1] ?? 0)).toString(16)
}

/** Reads `10.0.0.0/8`, `10.1.2.3`, `2001:db8::/32`, `10.0.0.0/255.0.0.0`; undefined when it is none. */
export function parseRange(text: string): AddressRange | undefined {
  const [address = '', mask] = text.split('/', 2)
  const bytes = addressBytes(address)
  if (bytes === undefined) return undefined
  const isV4 = !address.includes(':')
  const given = mask === undefined ? (isV4 ? 32 : 128) : maskBits(mask)
  if (given === undefined || given > (isV4 ? 32 : 128)) return undefined
  return { text, bytes, bits: isV4 ? given + 96 : given }
}

function maskBits(mask: string): number | undefined {
  if (/^\d{1,3}$/.test(mask)) return Number(mask)
  const bytes = mask.includes(':') ? undefined : addressBytes(mask)?.slice(12)
  const bits = bytes?.map(byte => byte.toString(2).padStart(8, '0')).join('')
  const match = bits === undefined ? null : /^(1*)0*$/.exec(bits)
  return match?.[1]?.length
}

/** Does the range hold this address? */
export function isInRange(bytes: readonly number[], range: AddressRange): boolean {
  const whole = Math.floor(range.bits / 8)
  for (let at = 0; at < whole; at += 1) if (bytes[at] !== range.bytes[at]) return false
  const rest = range.bits % 8
  if (rest === 0) return true
  const mask = 0xff & (0xff << (8 - rest))
  return ((bytes[whole] ?? 0) & mask) === ((range.bytes[whole] ?? 0) & mask)
}

/** May a client from this address come in? Each of the lists must let it. */
export function isAcceptedByAll(
  address: string | undefined,
  lists: readonly (readonly AccessRule[])[],
): boolean {
  return lists.every(rules => isAccepted(address, rules))
}

/** Does one list let a client from this address in? The first rule that matches decides; an address that nobody can read is kept out by any rule. */
export function isAccepted(address: string | undefined, rules: readonly AccessRule[]): boolean {
  if (rules.length === 0) return true
  const bytes = addressBytes(address ?? '')
  if (bytes === undefined) return false
  const holds = ({ ranges, negated }: AccessTerm) =>
    (ranges === undefined || ranges.some(range => isInRange(bytes, range))) !== negated
  const decides = rules.find(rule => holds(rule) && (rule.also ?? []).every(holds))
  return decides === undefined || decides.action === 'accept'
}
