// From single measurements to what the report says. Pure.

import type { Sample } from './sample.ts'
import { median, spread } from './statistics.ts'

/** One path at one workload, over all rounds. */
export interface Figures {
  readonly path: string
  readonly workload: string
  readonly value: number
  /** 0.05 reads "± 5 %". */
  readonly spread: number
  /** Median of the ratios within each round: a slow moment of the machine falls on both sides of it. */
  readonly toDirect: number
  readonly toHaproxy: number
  readonly p50Us: number
  readonly p95Us: number
  readonly p99Us: number
  /** The 99th percentile as a multiple of HAProxy's. */
  readonly p99ToHaproxy: number
  readonly routerCpu: number
  readonly machineCpu: number
  /** The whole machine's CPU time for an operation as a multiple of the time on HAProxy's path. */
  readonly cpuToHaproxy: number
}

/** Figures in the order in which workloads and paths first appear. */
export function summarize(samples: readonly Sample[]): readonly Figures[] {
  const workloads = [...new Set(samples.map(sample => sample.workload))]
  return workloads.flatMap(workload => {
    const all = samples.filter(sample => sample.workload === workload)
    const paths = [...new Set(all.filter(({ round }) => round === 1).map(sample => sample.path))]
    return paths.map(path => figures(all, path, workload))
  })
}

function figures(all: readonly Sample[], path: string, workload: string): Figures {
  const own = all.filter(sample => sample.path === path)
  const middle = (pick: (sample: Sample) => number) => median(own.map(pick))
  const ratio = (base: string, pick: (sample: Sample) => number) => median(ratios(own, all, base, pick))
  return {
    path,
    workload,
    value: middle(sample => sample.value),
    spread: spread(own.map(sample => sample.value)),
    toDirect: ratio('direct', sample => sample.value),
    toHaproxy: ratio('haproxy', sample => sample.value),
    p50Us: middle(sample => sample.p50Us),
    p95Us: middle(sample => sample.p95Us),
    p99Us: middle(sample => sample.p99Us),
    p99ToHaproxy: ratio('haproxy', sample => sample.p99Us),
    routerCpu: middle(sample => sample.routerCpu),
    machineCpu: middle(sample => sample.machineCpu),
    cpuToHaproxy: ratio('haproxy', sample => sample.machineCpu),
  }
}

/** Of each round in which both were measured: one path's figure as a multiple of that of `base`. */
export function ratios(
  own: readonly Sample[],
  all: readonly Sample[],
  base: string,
  pick: (sample: Sample) => number,
): readonly number[] {
  return own.flatMap(sample => {
    const other = all.find(({ path, round }) => path === base && round === sample.round)
    return other === undefined ? [] : [pick(sample) / pick(other)]
  })
}
