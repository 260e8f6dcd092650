// What /proc tells about processes. Never reads `cmdline`: that can wait for a process that is stuck in the kernel.

import { readdir, readFile, readlink } from 'node:fs/promises'
import type { Deadline } from '../platform/deadline.ts'
import { OneByOne } from '../platform/one-by-one.ts'

/** USER_HZ: fixed by the kernel's interface on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

export interface ProcessStat {
  readonly pid: number
  readonly command: string
  /** One letter: R, S, D, T, Z ... */
  readonly state: string
  readonly parentPid: number
  readonly processGroup: number
  /** Number of the controlling terminal; 0 when there is none. */
  readonly terminal: number
  /** Clock ticks between boot and start: with the pid it names one process for ever. */
  readonly startTicks: string
}

/** Reads one line of `/proc/<pid>/stat`; undefined when it has another shape. */
export function parseStat(line: string): ProcessStat | undefined {
  const open = line.indexOf('(')
  const close = line.lastIndexOf(')')
  if (open < 0 || close < open) return undefined
  const rest = line.slice(close + 2).split(' ')
  const [state, parentPid, processGroup, , terminal] = rest
  const startTicks = rest[19]
  if (state === undefined || startTicks === undefined) return undefined
  return {
    pid: Number(line.slice(0, open).trim()),
    command: line.slice(open + 1, close),
    state,
    parentPid: Number(parentPid),
    processGroup: Number(processGroup),
    terminal: Number(terminal),
    startTicks,
  }
}

/**
 * The process as it is now; undefined when there is none. Rejects when the look itself fails (no file descriptor left):
 * a process that could not be looked at must not count as dead.
 */
export async function statOf(pid: number): Promise<ProcessStat | undefined> {
  const line = await unlessGone(readFile(`/proc/${pid}/stat`, 'utf8'))
  return line === undefined ? undefined : parseStat(line)
}

/** The process's working directory as the kernel prints it; undefined for zombies and for other users' processes. */
export function workingDirectoryOf(pid: number): Promise<string | undefined> {
  return unlessGone(readlink(`/proc/${pid}/cwd`))
}

/** The kernel reads them from the process's own memory: of one that is stuck there it may not answer. */
const environments = new OneByOne()

/** Was the process started with this variable at this value? Rejects when the kernel does not answer in time. */
export async function wasStartedWith(
  pid: number,
  name: string,
  value: string,
  by: Deadline,
): Promise<boolean> {
  const path = `/proc/${pid}/environ`
  const text = await environments.run(`reading ${path}`, by, () => unlessGone(readFile(path, 'utf8')))
  return text?.split('\0').includes(`${name}=${value}`) ?? false
}

async function unlessGone<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined
    throw error
  }
}

/** Does the process see the same file tree as we do? In another container one path can be another directory. */
export async function sharesMounts(pid: number): Promise<boolean> {
  try {
    const [ours, theirs] = await Promise.all(['self', pid].map(name => readlink(`/proc/${name}/ns/mnt`)))
    return ours === theirs
  } catch {
    return false
  }
}

/** All process ids of our pid namespace. */
export async function listPids(): Promise<readonly number[]> {
  const names = await readdir('/proc')
  return names.filter(name => /^\d+$/.test(name)).map(Number)
}

/** The process groups of which a process is left. A zombie is not: it waits for nothing but its parent. */
export async function liveGroups(): Promise<ReadonlySet<number>> {
  const stats = await Promise.all((await listPids()).map(statOf))
  return new Set(stats.flatMap(stat => (stat === undefined || stat.state === 'Z' ? [] : [stat.processGroup])))
}

/** Sends a signal. False when the process is gone or not ours to signal. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** The kernel's clock ticks since boot: comparable with `startTicks`. */
export async function ticksNow(): Promise<number> {
  const uptimeSeconds = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0])
  return Math.floor(uptimeSeconds * TICKS_PER_SECOND)
}
