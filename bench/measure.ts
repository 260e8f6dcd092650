// The interleaved run: in each round every path gets its turn at every workload, so that whatever else the machine does
// falls on all of them alike.

import { machineCpuSeconds, processCpuSeconds } from './cpu.ts'
import type { BenchOptions } from './options.ts'
import type { Path } from './paths.ts'
import { selectOnly } from './pgbench.ts'
import type { Sample } from './sample.ts'
import { percentile } from './statistics.ts'
import type { Surroundings, Way, Workload } from './workloads.ts'

const WARM_UP_CLIENTS = 8
const WARM_UP_SECONDS = 1

/** One second of load on each path, so that no measurement pays for what is only slow at first. */
export async function warmUp(paths: readonly Path[], around: Surroundings): Promise<void> {
  for (const { target } of paths) {
    await selectOnly({ ...around, target, clients: WARM_UP_CLIENTS, durationSeconds: WARM_UP_SECONDS })
  }
}

/** Measures everything; `tell` gets one line for each measurement. */
export async function measure(
  workloads: readonly Workload[],
  { rounds }: Pick<BenchOptions, 'rounds'>,
  tell: (line: string) => void,
): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  for (let round = 1; round <= rounds; round += 1) {
    for (const workload of workloads) {
      if (round > (workload.rounds ?? rounds)) continue
      for (const way of rotated(workload.ways, round - 1)) {
        const sample = await measureOnce(workload, way, round)
        samples.push(sample)
        tell(`round ${round}, ${workload.name}, ${way.name}: ${Math.round(sample.value)} ${workload.unit}`)
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

async function measureOnce(workload: Workload, way: Way, round: number): Promise<Sample> {
  const pid = way.router?.pid
  const before = { router: await processCpuSeconds(pid), machine: await machineCpuSeconds() }
  const { value, operations, latenciesUs } = await workload.run(way)
  const router = (await processCpuSeconds(pid)) - before.router
  const machine = (await machineCpuSeconds()) - before.machine
  return {
    workload: workload.name,
    path: way.name,
    round,
    value,
    p50Us: percentile(latenciesUs, 0.5),
    p95Us: percentile(latenciesUs, 0.95),
    p99Us: percentile(latenciesUs, 0.99),
    routerCpu: router / operations,
    machineCpu: machine / operations,
  }
}
