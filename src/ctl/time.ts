// Times as people read them in this command's output: local, to the minute or with five digits of a second.

import type { Clock } from '../platform/clock.ts'

/** `YYYY-MM-DD HH:MM:SS.fffff`. */
export function timestamp(clock: Clock): string {
  const wallMs = clock.wallMs()
  const fraction = String(Math.floor(wallMs % 1000)).padStart(3, '0')
  return `${plainTime(wallMs)}.${fraction}00`
}

/** `YYYY-MM-DD HH:MM:SS`. */
export function plainTime(wallMs: number): string {
  return `${localMinute(wallMs).replace('T', ' ')}:${two(new Date(wallMs).getSeconds())}`
}

/** `YYYY-MM-DDTHH:MM`. */
export function localMinute(wallMs: number): string {
  const at = new Date(wallMs)
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
