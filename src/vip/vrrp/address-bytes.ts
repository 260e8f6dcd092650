// Addresses as the bytes that go over the wire, and back. Pure; texts are expected to be addresses.

export type Family = 4 | 6

/** Family of an address's text. */
export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

/** The 4 or 16 bytes of an address. Throws RangeError for a text that is none. */
export function addressBytes(address: string): Buffer {
  const bytes = familyOf(address) === 4 ? bytesOfV4(address) : bytesOfV6(address)
  if (bytes === undefined) throw new RangeError(`${address}: is no address`)
  return bytes
}

/** The usual text of 4 or 16 bytes: zeros of IPv6 shortened as RFC 5952 wants it. */
export function printAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => {
    return (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16)
  })
  const run = longestRunOfZeros(groups)
  if (run === undefined) return groups.join(':')
  return `${groups.slice(0, run.start).join(':')}::${groups.slice(run.start + run.length).join(':')}`
}

/** Numeric order of two addresses of one family: below zero when `a` comes first. */
export function compareAddresses(a: string, b: string): number {
  return Buffer.compare(addressBytes(a), addressBytes(b))
}

function bytesOfV4(address: string): Buffer | undefined {
  const parts = address.split('.')
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) <= 255))
    return undefined
  return Buffer.from(parts.map(Number))
}

function bytesOfV6(address: string): Buffer | undefined {
  const halves = address.split('::')
  const [head = [], tail] = halves.map(groupsOf)
  if (halves.length > 2 || head === undefined) return undefined
  const missing = 8 - head.length - (tail?.length ?? 0)
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  const groups = [
    ...head,
    ...Array.from({ length: tail === undefined ? 0 : missing }, () => 0),
    ...(tail ?? []),
  ]
  if (!groups.every(group => Number.isInteger(group) && group >= 0 && group <= 0xffff)) return undefined
  return Buffer.from(groups.flatMap(group => [group >> 8, group & 0xff]))
}

/** The 16-bit groups of one side of `::`; an IPv4 tail counts as two. NaN for what is no number. */
function groupsOf(text: string): readonly number[] {
  if (text === '') return []
  return text.split(':').flatMap(word => {
    const v4 = word.includes('.') ? bytesOfV4(word) : undefined
    if (v4 !== undefined) return [v4.readUInt16BE(0), v4.readUInt16BE(2)]
    return [/^[0-9a-f]{1,4}$/i.test(word) ? Number.parseInt(word, 16) : Number.NaN]
  })
}

function longestRunOfZeros(
  groups: readonly string[],
): { readonly start: number; readonly length: number } | undefined {
  let best: { readonly start: number; readonly length: number } | undefined
  let start = -1
  for (const [index, group] of [...groups, 'end'].entries()) {
    if (group === '0') {
      if (start < 0) start = index
      continue
    }
    const length = index - start
    if (start >= 0 && length > 1 && length > (best?.length ?? 0)) best = { start, length }
    start = -1
  }
  return best
}
