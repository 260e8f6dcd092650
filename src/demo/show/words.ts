// Figures and names as people read them. One place, so that the table, the story and the plain lines agree.

const KIB = 1024

/** `1.05 s`, `12.3 s`, `2 min 5 s`: the shorter, the finer. */
export function seconds(ms: number): string {
  const total = Math.max(0, ms) / 1000
  if (total < 9.995) return `${total.toFixed(2)} s`
  if (total < 99.95) return `${total.toFixed(1)} s`
  return `${Math.floor(total / 60)} min ${Math.floor(total % 60)} s`
}

/** `48 s`, `2 min 5 s`: for what only has to be roughly right. */
export function upTime(ms: number): string {
  const total = Math.floor(Math.max(0, ms) / 1000)
  return total < 60 ? `${total} s` : `${Math.floor(total / 60)} min ${total % 60} s`
}

/** `12,345`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `0 B`, `16 KB`, `3.2 MB`. */
export function bytes(value: number): string {
  if (value < KIB) return `${Math.max(0, Math.round(value))} B`
  if (value < 10 * KIB * KIB) return `${count(value / KIB)} KB`
  return `${(value / KIB / KIB).toFixed(1)} MB`
}

/** `1 row`, `5 rows`. */
export function many(value: number, one: string, more = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : more}`
}

/** `a`, `a and b`, `a, b and c`. */
export function list(names: readonly string[]): string {
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
}

/** `12:34:56`, local time. */
export function clockTime(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map(part => String(part).padStart(2, '0'))
    .join(':')
}
