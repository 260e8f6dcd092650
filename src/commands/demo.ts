// `pgherd demo`: a whole cluster on this machine's loopback, to play with. Builds nothing that outlives it.

import { realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { Command, InvalidArgumentError, Option } from 'commander'
import { signal } from '../demo/proctable.ts'
import { type FaultName, faults } from '../demo/show/faults.ts'
import { Live } from '../demo/show/live.ts'
import { runOnce } from '../demo/show/once.ts'
import { Stage, type StageOptions } from '../demo/show/stage.ts'
import { runVersus } from '../demo/show/versus.ts'
import { clockTime } from '../demo/show/words.ts'
import { UserError } from '../platform/errors.ts'

interface DemoFlags {
  readonly once?: true
  readonly versus?: FaultName | true
  readonly data?: string
  readonly keep?: true
  readonly ttl: number
}

const TTL_SECONDS = 5
const TTL_SECONDS_MIN = 3
const TTL_SECONDS_MAX = 300
const INTERRUPTED_EXIT_CODE = 130
const FAULT_NAMES = Object.keys(faults)

/** The command as the program's table wants it. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('start a whole cluster on this machine, watch it, break it')
    .option('--once', 'one power cut without a terminal; exit code 0 only if no acknowledged row is lost')
    .addOption(
      new Option(
        '--versus [fault]',
        'the same fault at the same instant beside Patroni and HAProxy; one table at the end',
      ).choices(FAULT_NAMES),
    )
    .option('--ttl <seconds>', "of the leader's lease", parseTtl, TTL_SECONDS)
    .option('--data <directory>', 'make the directory for all data here (default: TMPDIR)')
    .option('--keep', 'leave that directory (logs, configuration, data) at the end')
    .action(async (flags: DemoFlags) => {
      if (flags.once && flags.versus) throw new UserError('--once and --versus exclude each other')
      process.exitCode = await runDemo(flags)
      // What still waits for the servers that are gone must not keep the process, nor outlive it.
      await endChildren()
      process.exit()
    })
}

/** Tools that were asked something when the end came (etcdctl) are ended, not left to run into their own deadline. */
async function endChildren(): Promise<void> {
  const pids = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8').catch(() => '')
  for (const pid of pids.split(' ').map(Number)) {
    if (pid > 0) signal(pid, 'SIGKILL')
  }
}

/** Runs the demo and removes everything, whatever happens; resolves to the exit code. */
export async function runDemo(flags: DemoFlags): Promise<number> {
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => stopping.abort(new Error(`ended by ${name}`)))
  }
  // A bug must not leave servers behind either: it ends the demo as a signal does, and is told at the end.
  const bugs: unknown[] = []
  for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(name, (bug: unknown) => {
      bugs.push(bug)
      stopping.abort(bug)
    })
  }
  const stage = await Stage.prepare(stageOptions(flags), say)
  try {
    const code = await play(stage, flags, stopping.signal)
    if (bugs.length > 0) throw bugs[0]
    return code
  } finally {
    say('removing everything')
    await stage.remove()
    if (flags.keep) say(`logs and data are in ${stage.directory}`)
  }
}

async function play(stage: Stage, flags: DemoFlags, signal: AbortSignal): Promise<number> {
  const startedMs = performance.now()
  const tell = (says: string) => say(`${says} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`)
  say('starting three etcd members, three PostgreSQL servers with their agents, two proxies')
  const starting = stage.start(tell, signal).then(() => 0)
  if ((await untilAborted(starting, signal)) !== 0) return INTERRUPTED_EXIT_CODE
  if (flags.once) return untilAborted(runOnce(stage, say, signal), signal)
  if (flags.versus) {
    const fault = flags.versus === true ? 'kill' : flags.versus
    return untilAborted(runVersus(stage, fault, say, signal), signal)
  }
  // It ends by itself when it is told to, with the account of all rows.
  await Live.run(stage, { input: process.stdin, out: process.stdout }, signal)
  return 0
}

/** What is still on its way when the signal comes is left behind: its servers are about to be removed. */
async function untilAborted(playing: Promise<number>, signal: AbortSignal): Promise<number> {
  playing.catch(() => {})
  const aborted = new Promise<number>(resolve => {
    if (signal.aborted) resolve(INTERRUPTED_EXIT_CODE)
    signal.addEventListener('abort', () => resolve(INTERRUPTED_EXIT_CODE), { once: true })
  })
  return Promise.race([aborted, playing])
}

function stageOptions({ data, ttl, keep }: DemoFlags): StageOptions {
  const main = process.argv[1]
  if (main === undefined) throw new UserError('the program does not know its own file; start it as a file')
  return {
    // Servers run with another working directory, perhaps as another user: absolute, and past every link.
    program: [process.execPath, ...process.execArgv, realpathSync(main)],
    ttlSeconds: ttl,
    keep: keep === true,
    ...(data === undefined ? {} : { dataDir: realpathOf(data) }),
  }
}

function realpathOf(directory: string): string {
  try {
    return realpathSync(directory)
  } catch (error) {
    throw new UserError(`--data ${directory}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be used'}`)
  }
}

function parseTtl(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= TTL_SECONDS_MIN && value <= TTL_SECONDS_MAX) return value
  throw new InvalidArgumentError(`a whole number from ${TTL_SECONDS_MIN} to ${TTL_SECONDS_MAX} is expected`)
}

function say(says: string): void {
  process.stdout.write(`${clockTime(new Date())} ${says}\n`)
}
