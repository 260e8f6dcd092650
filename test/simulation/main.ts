// npm run sim: many seeds, hours of them, or one again with its trace.

import { parseArgs } from 'node:util'
import { printCounts, printFailure, shortfalls } from './report.ts'
import { runSeeds } from './runner.ts'
import { trySeed } from './seed.ts'
import { Trace } from './trace.ts'
import { tracesOf } from './traces-of.ts'
import { rewrite } from './transcripts.ts'

const USAGE = `usage: npm run sim -- --seeds N [--from S]   run N worlds (default 2000)
       npm run sim -- --hours H [--from S]   run worlds for H hours, with progress
       npm run sim -- --seed X [--lines N]   run one world and print the end of its trace (default 200 lines)
       npm run sim -- --transcripts          write the transcripts of the canonical stories anew, for review as a diff
       npm run sim -- --processes P          how many at the same time (default 2)`
const FAILURES_MAX = 10
const HOUR_MS = 3_600_000
const PROGRESS_MS = 10_000

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    hours: { type: 'string' },
    seed: { type: 'string' },
    lines: { type: 'string', default: '200' },
    processes: { type: 'string', default: '2' },
    transcripts: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function wholeNumber(name: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`--${name}: expected a number, not ${text}\n${USAGE}`)
  process.exit(2)
}

async function replay(seed: number, lines: number): Promise<number> {
  const trace = new Trace()
  const { failure, world } = await trySeed(seed, trace)
  console.log(JSON.stringify(world.settings))
  console.log(trace.lines.slice(-lines).join('\n'))
  console.log(failure === undefined ? `seed ${seed}: all is well` : printFailure(failure))
  return failure === undefined ? 0 : 1
}

async function many(from: number, count: number, untilMs: number, processes: number): Promise<number> {
  const startedMs = performance.now()
  let toldMs = startedMs
  const outcome = await runSeeds({
    from,
    count,
    processes,
    failuresMax: FAILURES_MAX,
    isOver: () => performance.now() > untilMs,
    onSeed: (done, failures) => {
      if (performance.now() - toldMs < PROGRESS_MS) return
      toldMs = performance.now()
      const rate = (done / (toldMs - startedMs)) * 1000
      console.log(`${done} seeds, ${failures} failures, ${rate.toFixed(1)} seeds/s`)
    },
  })
  const seconds = (performance.now() - startedMs) / 1000
  console.log(printCounts(outcome.counts))
  for (const failure of outcome.failures) console.log(printFailure(failure))
  for (const text of await tracesOf(outcome.failures)) console.log(`\n${text}`)
  const missing = outcome.failures.length > 0 ? [] : shortfalls(outcome)
  for (const line of missing) console.log(`not enough: ${line}`)
  console.log(`${outcome.seeds} seeds in ${seconds.toFixed(1)} s: ${outcome.failures.length} failures`)
  return outcome.failures.length + missing.length === 0 ? 0 : 1
}

if (values.help) {
  console.log(USAGE)
} else if (values.transcripts) {
  const changed = await rewrite()
  console.log(changed.length === 0 ? 'every transcript is as it was' : `written anew: ${changed.join(', ')}`)
} else if (values.seed !== undefined) {
  process.exitCode = await replay(wholeNumber('seed', values.seed), wholeNumber('lines', values.lines))
} else {
  const hours = values.hours === undefined ? undefined : wholeNumber('hours', values.hours)
  const untilMs = hours === undefined ? Number.POSITIVE_INFINITY : performance.now() + hours * HOUR_MS
  const count =
    hours === undefined ? wholeNumber('seeds', values.seeds ?? '2000') : Number.MAX_SAFE_INTEGER / 2
  const from = wholeNumber('from', values.from)
  process.exitCode = await many(from, count, untilMs, wholeNumber('processes', values.processes))
}
