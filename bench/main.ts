// `npm run bench`: measures the ways to one server side by side and prints the comparison. Asserts nothing about time.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runMain } from '../scripts/lib/say.js'
import { Cluster } from '../src/demo/cluster.ts'
import type { Host } from '../src/demo/host.ts'
import { type Layout, LoopbackLayout } from '../src/demo/loopback.ts'
import { tlsParameters } from '../test/support/certificate.ts'
import { mergedTimeline } from '../test/support/timeline.ts'
import { measure, warmUp } from './measure.ts'
import { type BenchOptions, HELP, readOptions } from './options.ts'
import { openPaths } from './paths.ts'
import { fill } from './pgbench.ts'
import { ownPlace, type Place, runInOwnPlace } from './place.ts'
import { openRaw } from './raw/routers.ts'
import { latestResult, makeResult, printReport, storeChart, storeResult } from './report.ts'
import { isRaw, workloads } from './workloads.ts'

const SCRIPT = fileURLToPath(import.meta.url)
const LOG_LINES = 60
const RESULTS = path.join(import.meta.dirname, 'results')

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

async function bench(options: BenchOptions, place: Place, signal: AbortSignal): Promise<void> {
  const hosts: Host[] = []
  const loopback = new LoopbackLayout(place.data, place.logs)
  const layout: Layout = {
    host: async name => {
      const host = await loopback.host(name)
      hosts.push(host)
      return host
    },
  }
  try {
    await benchOn(layout, options, place, signal)
  } catch (error) {
    if (!signal.aborted) await tellLogs(place.logs)
    throw error
  } finally {
    await Promise.all(hosts.map(host => host.remove()))
  }
}

async function benchOn(
  layout: Layout,
  options: BenchOptions,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const cluster = await Cluster.create({
    layout,
    program: place.program,
    etcd: 1,
    members: 1,
    proxies: 1,
    proxySettings: { relay: 'net' },
    parameters: { shared_buffers: '256MB', ...(await tlsParameters(place.scratch)) },
  })
  const [member] = cluster.members
  if (member === undefined) throw new Error('the cluster has no member')
  const { binDir } = member.config
  tell('starting etcd, an agent with its server, and the routers')
  await cluster.start()
  signal.throwIfAborted()
  await fill({ target: member.direct, binDir, signal }, options.scale)
  const paths = await openPaths(cluster, member, layout, place.program)
  const around = { binDir, scratch: place.scratch, signal }
  const raw = options.groups.some(isRaw) ? await openRaw(layout, place.program) : undefined
  const chosen = workloads({ sql: paths, raw, around }, options)
  await warmUp(paths, around)
  const samples = await measure(chosen, options, tell)
  raw?.load.stop()
  const result = await makeResult(samples, chosen, options, binDir)
  const last = await latestResult(RESULTS)
  const file = await storeResult(result, options.out)
  await storeChart(result, file)
  process.stdout.write(`\n${printReport(result, last)}\n`)
  tell(`the single measurements are in ${path.relative(process.cwd(), file)}`)
}

/** The end of what all programs logged: they are removed with their logs. */
async function tellLogs(directory: string): Promise<void> {
  const lines = await mergedTimeline(directory)
  for (const line of lines.slice(-LOG_LINES)) tell(line)
}

function tell(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
