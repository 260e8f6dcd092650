// The interleaved run: in each round every path gets its turn at every number of clients, so that whatever else the
// machine does falls on all of them alike.

import type { BenchOptions } from './options.ts'
import { type Path, routerCpuSeconds } from './paths.ts'
import { type PgbenchRun, selectOnly } from './pgbench.ts'
import { percentile } from './statistics.ts'

/** One measurement. */
export interface Sample {
  readonly path: string
  readonly clients: number
  readonly round: number
  readonly tps: number
  readonly p50Us: number
  readonly p95Us: number
  readonly p99Us: number
  /** CPU seconds of the router's process for 100,000 transactions. */
  readonly routerCpuPer100k: number
}

/** What every measurement shares. */
export type Surroundings = Pick<PgbenchRun, 'binDir' | 'scratch' | 'signal'>

const WARM_UP_CLIENTS = 8
const WARM_UP_SECONDS = 1

/** Measures everything; `tell` gets one line for each measurement. */
export async function measure(
  paths: readonly Path[],
  options: BenchOptions,
  around: Surroundings,
  tell: (line: string) => void,
): Promise<readonly Sample[]> {
  for (const { target } of paths) {
    await selectOnly({ ...around, target, clients: WARM_UP_CLIENTS, durationSeconds: WARM_UP_SECONDS })
  }
  const samples: Sample[] = []
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const clients of options.clients) {
      for (const path of rotated(paths, round - 1)) {
        const sample = await measureOnce(path, clients, round, options, around)
        samples.push(sample)
        tell(`round ${round}, ${clients} clients, ${path.name}: ${Math.round(sample.tps)} TPS`)
      }
    }
  }
  return samples
}

/** The same list beginning elsewhere: no path is always the first or always behind the same one. */
export function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const start = list.length === 0 ? 0 : by % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}

async function measureOnce(
  path: Path,
  clients: number,
  round: number,
  { durationSeconds }: BenchOptions,
  around: Surroundings,
): Promise<Sample> {
  const before = await routerCpuSeconds(path)
  const result = await selectOnly({ ...around, target: path.target, clients, durationSeconds })
  const cpuSeconds = (await routerCpuSeconds(path)) - before
  const { latenciesUs, tps, transactions } = result
  return {
    path: path.name,
    clients,
    round,
    tps,
    p50Us: percentile(latenciesUs, 0.5),
    p95Us: percentile(latenciesUs, 0.95),
    p99Us: percentile(latenciesUs, 0.99),
    routerCpuPer100k: (cpuSeconds * 100_000) / transactions,
  }
}
