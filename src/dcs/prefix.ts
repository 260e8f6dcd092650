// Where a cluster's keys live. Other agents must compute the same prefix from the same settings.

/** `/<namespace>/<scope>/` with repeated slashes squeezed to one. */
export function scopePrefix(namespace: string, scope: string): string {
  return `/${namespace}/${scope}/`.replace(/\/{2,}/g, '/')
}

/** The first key after all keys that begin with `prefix`, as bytes: the end of a range over the prefix. */
export function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix)
  for (let at = end.length - 1; at >= 0; at -= 1) {
    const byte = end[at] ?? 0
    if (byte < 0xff) {
      end[at] = byte + 1
      return end.subarray(0, at + 1)
    }
  }
  return Buffer.from([0])
}
