// CPU time of a process and of the whole machine.

import { readFile } from 'node:fs/promises'

const TICKS_PER_SECOND = 100

/** Seconds of CPU that a process has used since it started; 0 for none. */
export async function processCpuSeconds(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold spaces; the fields are counted behind it: user time is the 12th, system time the 13th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Seconds that all processors together were busy since the machine started, interrupts included. */
export async function machineCpuSeconds(): Promise<number> {
  return busySeconds(await readFile('/proc/stat', 'utf8'))
}

/** The same from the text of /proc/stat: all fields of its first line but idle and waiting for disks, and without guests, which count as user time. */
export function busySeconds(stat: string): number {
  const [first = ''] = stat.split('\n')
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = first
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
}

/**
 * Memory that a process has for itself. Without the pages of its program's files that it has touched: they are shared, and the
 * kernel may take them back (node reads five megabytes of its own once its optimizing compiler begins to work).
 */
export async function ownBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}
