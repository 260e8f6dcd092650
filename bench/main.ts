// `npm run bench`: measures the ways to one server side by side and prints the comparison. Asserts nothing about time.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cluster } from '../src/demo/cluster.ts'
import { tlsParameters } from '../test/support/certificate.ts'
import { measure, warmUp } from './measure.ts'
import { type BenchOptions, HELP, readOptions } from './options.ts'
import { openPaths } from './paths.ts'
import { fill } from './pgbench.ts'
import { openRaw } from './raw/routers.ts'
import { drawPicture, latestResult, makeResult, printReport, storeChart, storeResult } from './report.ts'
import { onStage, type Stage, tell } from './stage.ts'
import { isRaw, workloads } from './workloads.ts'

const SCRIPT = fileURLToPath(import.meta.url)
const RESULTS = path.join(import.meta.dirname, 'results')
/** README.md shows it. */
const PICTURE = path.join(import.meta.dirname, '../docs/bench.svg')

await onStage(SCRIPT, args => readOptions(args, RESULTS), HELP, bench)

async function bench(options: BenchOptions, { layout, place, signal }: Stage): Promise<void> {
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
  const paths = await openPaths(cluster, member, layout, place.program, options.threads)
  const around = { binDir, scratch: place.scratch, signal }
  const raw = options.groups.some(isRaw) ? await openRaw(layout, place.program, options.threads) : undefined
  const chosen = workloads({ sql: paths, raw, around }, options)
  await warmUp(paths, around)
  const samples = await measure(chosen, options, tell)
  raw?.load.stop()
  const result = await makeResult(samples, chosen, options, binDir)
  const last = await latestResult(RESULTS)
  const file = await storeResult(result, options.out)
  await storeChart(result, file.replace(/\.json$/, '.svg'))
  process.stdout.write(`\n${printReport(result, last)}\n`)
  tell(`the single measurements are in ${path.relative(process.cwd(), file)}`)
  if (options.isStored) tell(await drawPicture(result, PICTURE))
}
