// Every process of one data directory, found by its working directory. A backend outlives a killed postmaster and can
// still acknowledge a commit, so a fence has to find backends without the postmaster's help.

import { stat } from 'node:fs/promises'
import { type Clock, realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { OneByOne } from '../platform/one-by-one.ts'
import {
  listPids,
  type ProcessStat,
  sendSignal,
  sharesMounts,
  statOf,
  ticksNow,
  workingDirectoryOf,
} from './procfs.ts'

const REPEAT_MS = 20
/** Storage that does not say within this time which directory is which leaves the question open. */
const SAME_DIRECTORY_MS = 500
/** The storage that is asked may hang. */
const comparisons = new OneByOne()
const SERVER_COMMANDS = new Set(['postgres', 'postmaster'])

/**
 * Does this process belong to the server in `directory` (its real path)? A person's shell that stands there has a
 * terminal and is no server: it is spared. The kernel marks a directory that was removed under a process.
 */
export function belongsTo(
  directory: string,
  workingDirectory: string | undefined,
  stat: Pick<ProcessStat, 'command' | 'terminal'>,
): boolean {
  if (workingDirectory !== directory && workingDirectory !== `${directory} (deleted)`) return false
  return stat.terminal === 0 || SERVER_COMMANDS.has(stat.command)
}

/** The pids of all processes that work in `directory`, ourselves left out. */
export async function familyOf(directory: string): Promise<readonly number[]> {
  const pids = await listPids()
  const found = await Promise.all(pids.map(async pid => ((await isMember(directory, pid)) ? [pid] : [])))
  return found.flat()
}

async function isMember(
  directory: string,
  pid: number,
  startedBefore = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  if (pid === process.pid) return false
  const workingDirectory = await workingDirectoryOf(pid)
  if (workingDirectory === undefined || !workingDirectory.startsWith(directory)) return false
  const found = await statOf(pid)
  if (found === undefined || Number(found.startTicks) >= startedBefore) return false
  return belongsTo(directory, workingDirectory, found) && (await isTheSame(directory, pid))
}

/**
 * Under one path a process in another mount namespace may work in another directory (a container), or in ours (a service
 * that was restarted with a private /tmp): there the directories themselves are compared. Rejects when they cannot be.
 */
async function isTheSame(directory: string, pid: number): Promise<boolean> {
  if (await sharesMounts(pid)) return true
  const by = Deadline.in(realClock, SAME_DIRECTORY_MS)
  return await comparisons.run('comparing directories', by, async () => {
    const theirs = await stat(`/proc/${pid}/cwd`).catch(isOver)
    if (theirs === undefined) return false
    const ours = await stat(directory)
    return theirs.dev === ours.dev && theirs.ino === ours.ino
  })
}

/** A process that ended while it was looked at works nowhere any more; every other failure stays one. */
function isOver(error: unknown): undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT' || code === 'ESRCH') return undefined
  throw error
}

/**
 * SIGKILL to each of them, each as soon as it is found. Returns how many there were: 0 means that none is left. One that
 * could not be looked at counts.
 */
export async function killFamily(
  directory: string,
  startedBefore = Number.POSITIVE_INFINITY,
): Promise<number> {
  const pids = await listPids()
  const killed = await Promise.all(
    pids.map(async pid => {
      const mayBeMember = await isMember(directory, pid, startedBefore).catch(() => 'unknown' as const)
      if (mayBeMember === true) sendSignal(pid, 'SIGKILL')
      return mayBeMember !== false
    }),
  )
  return killed.filter(Boolean).length
}

/**
 * Ends what a dead postmaster left behind. A server that somebody starts by hand at this moment began later than the
 * call and is spared.
 */
export async function endOrphans(directory: string, clock: Clock, by: Deadline): Promise<boolean> {
  const startedBefore = await ticksNow()
  while ((await killFamily(directory, startedBefore)) > 0) {
    if (by.isOver()) return false
    await clock.sleep(REPEAT_MS)
  }
  return true
}

/** Kills again and again until nobody is left. False when somebody still is at the deadline (stuck in the kernel). */
export async function endFamily(directory: string, clock: Clock, by: Deadline): Promise<boolean> {
  while ((await killFamily(directory)) > 0) {
    if (by.isOver()) return false
    await clock.sleep(REPEAT_MS)
  }
  return true
}
