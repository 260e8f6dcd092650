// `npm run bench:failover`: strikes a cluster again and again and prints how long writing was away. Asserts nothing.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cluster } from '../../src/demo/cluster.ts'
import { onStage, type Stage, tell } from '../stage.ts'
import { type FailoverOptions, HELP, readOptions } from './options.ts'
import { printFailovers, storeRuns } from './report.ts'
import { type Run, runOnce } from './run.ts'

const SCRIPT = fileURLToPath(import.meta.url)
const RESULTS = path.join(import.meta.dirname, '..', 'results')

await onStage(SCRIPT, args => readOptions(args, RESULTS), HELP, bench)

async function bench(options: FailoverOptions, { layout, place, signal }: Stage): Promise<void> {
  const runs: Run[] = []
  try {
    const cluster = await Cluster.create({
      layout,
      program: place.program,
      dcs: { synchronous_mode: true },
      parameters: { max_connections: options.sessions + 50 },
    })
    tell('starting three etcd members, three agents with their servers, and a proxy')
    await cluster.start()
    await strikeAll(cluster, options, runs, signal)
  } finally {
    if (runs.length > 0) {
      process.stdout.write(`\n${printFailovers(runs, options.faults)}\n`)
      tell(`every run is in ${path.relative(process.cwd(), await storeRuns(runs, options.out))}`)
    }
  }
}

/** One fault of each kind after the other, so that a slow moment of the machine falls on all of them alike. */
async function strikeAll(
  cluster: Cluster,
  { runs: count, faults, sessions }: FailoverOptions,
  runs: Run[],
  signal: AbortSignal,
): Promise<void> {
  for (let run = 1; run <= count; run += 1) {
    for (const kind of faults) {
      signal.throwIfAborted()
      const done = await runOnce(cluster, { kind, run, sessions }, signal)
      runs.push(done)
      const cut = done.cut === undefined ? '' : `, ${done.cut.sessions} sessions cut in ${done.cut.ms} ms`
      tell(`run ${run}, ${kind}: back after ${Math.round(done.backMs)} ms${cut}`)
    }
  }
}
