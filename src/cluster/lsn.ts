// Positions in the write-ahead log. Always bigint: they pass 2^53.

/** A byte position in the WAL. */
export type Lsn = bigint

/** A timeline number, 1 and up. */
export type Timeline = number

const TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/

/** Reads `16/B374D848`; undefined when the text is no LSN. */
export function parseLsn(text: string): Lsn | undefined {
  const match = TEXT.exec(text)
  if (match === null) return undefined
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)
}

/** Prints `16/B374D848`, as PostgreSQL does. */
export function formatLsn(lsn: Lsn): string {
  const high = (lsn >> 32n).toString(16).toUpperCase()
  const low = (lsn & 0xffffffffn).toString(16).toUpperCase()
  return `${high}/${low}`
}

/** The one that lies further in the WAL. */
export function laterLsn(a: Lsn, b: Lsn): Lsn {
  if (a > b) return a
  return b
}
