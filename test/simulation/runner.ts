// Runs many seeds over several processes and adds up what they tell. Nothing here knows what a world is made of.

import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Counts, type CountsJson } from './counts.ts'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))
/** A world that takes longer than this hangs: a continuation that never lets time pass. */
const SEED_MS_MAX = 300_000

/** How the world of one seed ended badly. */
export interface Failure {
  readonly seed: number
  /** Name of the check, or `exception`, or `hangs`. */
  readonly check: string
  readonly says: string
}

export interface Outcome {
  readonly seeds: number
  readonly failures: readonly Failure[]
  readonly counts: Counts
}

/** What a worker sends back for each seed. */
export interface SeedReport {
  readonly seed: number
  readonly failure: Failure | undefined
  readonly counts: CountsJson
}

export interface RunOptions {
  readonly from: number
  /** How many seeds at most. */
  readonly count: number
  readonly processes: number
  /** No further seed is begun after this many failures. */
  readonly failuresMax: number
  /** Seeds that are of no use are passed over; they count as run. */
  readonly isWanted?: (seed: number) => boolean
  /** Asked before each seed. */
  readonly isOver?: () => boolean
  readonly onSeed?: (done: number, failures: number) => void
  /** For the workers, beside our own. */
  readonly env?: Readonly<Record<string, string>>
  readonly execArgv?: readonly string[]
}

export async function runSeeds(options: RunOptions): Promise<Outcome> {
  const counts = new Counts()
  const failures: Failure[] = []
  let next = options.from
  let done = 0
  const take = (): number | undefined => {
    while (next < options.from + options.count && options.isWanted?.(next) === false) next += 1
    const isOver = next >= options.from + options.count || failures.length >= options.failuresMax
    if (isOver || options.isOver?.() === true) return undefined
    const seed = next
    next += 1
    return seed
  }
  const note = (report: SeedReport) => {
    done += 1
    counts.merge(report.counts)
    if (report.failure !== undefined) failures.push(report.failure)
    options.onSeed?.(done, failures.length)
  }
  await Promise.all(Array.from({ length: options.processes }, () => serve(options, take, note)))
  return { seeds: done, failures: failures.sort((a, b) => a.seed - b.seed), counts }
}

/** Keeps one process busy until there is nothing left to take. One that dies or hangs is replaced. */
async function serve(
  options: RunOptions,
  take: () => number | undefined,
  note: (report: SeedReport) => void,
): Promise<void> {
  let child: ChildProcess | undefined
  for (let seed = take(); seed !== undefined; seed = take()) {
    child ??= start(options)
    const report = await ask(child, seed)
    note(report)
    if (report.failure?.check !== 'hangs') continue
    child.kill('SIGKILL')
    child = undefined
  }
  child?.disconnect()
}

function start({ env, execArgv }: RunOptions): ChildProcess {
  return fork(WORKER, [], {
    env: { ...process.env, ...env },
    execArgv: [...(execArgv ?? [])],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

function ask(child: ChildProcess, seed: number): Promise<SeedReport> {
  return new Promise(resolve => {
    const lost = (says: string) => {
      finish({ seed, failure: { seed, check: 'hangs', says }, counts: new Counts().toJson() })
    }
    const onExit = () => lost('its process ended')
    const onMessage = (report: SeedReport) => finish(report)
    const finish = (report: SeedReport) => {
      clearTimeout(timer)
      child.off('message', onMessage)
      child.off('exit', onExit)
      resolve(report)
    }
    const timer = setTimeout(() => lost(`no end within ${SEED_MS_MAX / 1000} s`), SEED_MS_MAX)
    child.on('message', onMessage)
    child.on('exit', onExit)
    child.send(seed)
  })
}
