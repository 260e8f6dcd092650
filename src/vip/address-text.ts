// IP addresses between text and bytes. Pure.

import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/** The address in its one canonical form, or undefined when it is none: `::0:1` is `::1`. */
export function canonicalAddress(
  text: string,
): { readonly address: string; readonly family: 4 | 6 } | undefined {
  if (isIPv4(text)) return { address: text, family: 4 }
  if (!isIPv6(text) || text.includes('%')) return undefined
  return { address: addressText(addressBytes(text, 6)), family: 6 }
}

/** Four or sixteen bytes. The text must be an address of that family. */
export function addressBytes(text: string, family: 4 | 6): Buffer {
  if (family === 4) return Buffer.from(text.split('.').map(Number))
  const [head = '', tail] = text.split('::')
  const first = groups(head)
  const last = tail === undefined ? [] : groups(tail)
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0)
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...first, ...zeros, ...last].entries()) bytes.writeUInt16BE(group, index * 2)
  return bytes
}

/** Text of four or sixteen bytes. */
export function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  return new SocketAddress({ address: words.join(':'), family: 'ipv6' }).address
}

/** The 16-bit groups of one side of `::`; the last may be written as an IPv4 address. */
function groups(text: string): readonly number[] {
  if (text === '') return []
  return text.split(':').flatMap(word => {
    if (!word.includes('.')) return [Number.parseInt(word, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}
