// The machine's process table, as far as the local cluster needs it: which processes belong to a host, and signals to all
// of them. Servers start children in sessions of their own, so process groups do not find them; the host's directory does.

import { readdir, readFile, readlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from './wait.ts'

/** What marks a process as belonging to a host: it works below the directory, or was started with the variable. */
export interface Belonging {
  readonly directory: string
  /** `NAME=value` in the environment; PostgreSQL overwrites its environment, so this alone is not enough. */
  readonly mark: string
}

/** Rounds until nothing new appears: each round catches what was being forked during the one before. */
const ROUNDS_MAX = 100

/** Pids of living processes that belong, in no order. Zombies do not count. */
export async function processesOf(belonging: Belonging): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const checked = await Promise.all(pids.map(async pid => ((await belongs(pid, belonging)) ? [pid] : [])))
  return checked.flat().filter(pid => pid !== process.pid)
}

/** SIGKILL to everything that belongs, until nothing is left. Throws when something survives. */
export async function killAll(belonging: Belonging): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const pids = await processesOf(belonging)
    if (pids.length === 0) return
    for (const pid of pids) signal(pid, 'SIGKILL')
    await sleep(10)
  }
  throw new Error(`processes in ${belonging.directory} survive SIGKILL`)
}

/**
 * SIGSTOP to everything that belongs, until two looks in a row find nothing that runs. Resolves to the stopped pids, when
 * the kernel has stopped them: the signal alone is a request, and a process on another processor runs on for a moment.
 */
export async function freezeAll(belonging: Belonging): Promise<readonly number[]> {
  const stopped = new Set<number>()
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const running = (await processesOf(belonging)).filter(pid => !stopped.has(pid))
    if (running.length === 0 && round > 1) {
      for (const pid of stopped) await untilStopped(pid)
      return [...stopped]
    }
    for (const pid of running) {
      signal(pid, 'SIGSTOP')
      stopped.add(pid)
    }
  }
  throw new Error(`processes in ${belonging.directory} fork faster than they can be stopped`)
}

/** Resolves when a process that was sent SIGSTOP executes nothing any more; one that waits for a disk is stopped by that. */
export async function untilStopped(pid: number): Promise<void> {
  await waitFor(`process ${pid} to be stopped`, { withinMs: 2_000, everyMs: 5 }, async note => {
    const state = await processState(pid)
    note(`state ${state}`)
    return state !== 'R' && state !== 'S'
  })
}

/** SIGCONT to everything that belongs. */
export async function thawAll(belonging: Belonging): Promise<void> {
  for (const pid of await processesOf(belonging)) signal(pid, 'SIGCONT')
}

/** Sends a signal; false when the process is gone already. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** The state letter of a process (`R`, `S`, `T` for stopped, `Z` for zombie), or undefined when it is gone. */
export async function processState(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The command's name stands in parentheses and may contain anything, a parenthesis included.
  return stat === '' ? undefined : stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
}

async function belongs(pid: number, { directory, mark }: Belonging): Promise<boolean> {
  const workingDirectory = await readlink(`/proc/${pid}/cwd`).catch(() => '')
  // A removed working directory reads as `path (deleted)`.
  if (workingDirectory === directory || workingDirectory.startsWith(`${directory}/`)) return true
  if (workingDirectory === `${directory} (deleted)`) return true
  const environment = (await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')).split('\0')
  // A server keeps only its home of what its agent was given, and with a root of its own it works below another path.
  return environment.includes(mark) || environment.includes(`HOME=${directory}`)
}
