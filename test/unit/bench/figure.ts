// One line of a result, of which only its share of the direct way matters.

import type { Figures } from '../../../bench/summary.ts'

export function figure(path: string, workload: string, toDirect: number): Figures {
  return {
    path,
    workload,
    value: 1,
    spread: 0,
    toDirect,
    toHaproxy: 1,
    p50Us: 1,
    p95Us: 1,
    p99Us: 1,
    p99ToHaproxy: 1,
    routerCpu: 1,
    machineCpu: 1,
    cpuToHaproxy: 1,
  }
}
