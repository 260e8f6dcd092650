// `npm run bench:failover`: strikes a cluster again and again and prints how long writing was away. Asserts nothing.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runMain } from '../../scripts/lib/say.js'
import { Cluster } from '../../src/demo/cluster.ts'
import type { Host } from '../../src/demo/host.ts'
import { type Layout, LoopbackLayout } from '../../src/demo/loopback.ts'
import { mergedTimeline } from '../../test/support/timeline.ts'
import { ownPlace, type Place, runInOwnPlace } from '../place.ts'
import { type FailoverOptions, HELP, readOptions } from './options.ts'
import { printFailovers, storeRuns } from './report.ts'
import { type Run, runOnce } from './run.ts'

const SCRIPT = fileURLToPath(import.meta.url)
const RESULTS = path.join(import.meta.dirname, '..', 'results')
const LOG_LINES = 60

await runMain(async () => {
  const args = process.argv.slice(2)
  const options = readOptions(args, RESULTS)
  if (options === undefined) {
    process.stdout.write(HELP)
    return 0
  }
  const place = await ownPlace()
  if (place === undefined) return runInOwnPlace(SCRIPT, args)
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopping.abort(new Error('interrupted')))
  }
  await bench(options, place, stopping.signal)
  return 0
})

async function bench(options: FailoverOptions, place: Place, signal: AbortSignal): Promise<void> {
  const hosts: Host[] = []
  const loopback = new LoopbackLayout(place.data, place.logs)
  const layout: Layout = {
    host: async name => {
      const host = await loopback.host(name)
      hosts.push(host)
      return host
    },
  }
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
  } catch (error) {
    if (!signal.aborted) for (const line of (await mergedTimeline(place.logs)).slice(-LOG_LINES)) tell(line)
    throw error
  } finally {
    await Promise.all(hosts.map(host => host.remove()))
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

function tell(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
