// From single measurements to what the report says. Pure.

import type { Sample } from './measure.ts'
import { median, spread } from './statistics.ts'

/** One path at one number of clients, over all rounds. */
export interface Figures {
  readonly path: string
  readonly clients: number
  readonly tps: number
  /** 0.05 reads "± 5 %". */
  readonly spread: number
  /** Median of the ratios within each round: a slow moment of the machine falls on both sides of it. */
  readonly toDirect: number
  readonly toHaproxy: number
  readonly p50Us: number
  readonly p95Us: number
  readonly p99Us: number
  readonly routerCpuPer100k: number
}

/** Figures in the order in which paths and numbers of clients first appear. */
export function summarize(samples: readonly Sample[]): readonly Figures[] {
  const clients = [...new Set(samples.map(sample => sample.clients))]
  const paths = [...new Set(samples.filter(({ round }) => round === 1).map(sample => sample.path))]
  return clients.flatMap(count =>
    paths.map(path =>
      figures(
        samples.filter(sample => sample.clients === count),
        path,
        count,
      ),
    ),
  )
}

function figures(samples: readonly Sample[], path: string, clients: number): Figures {
  const own = samples.filter(sample => sample.path === path)
  const middle = (pick: (sample: Sample) => number) => median(own.map(pick))
  return {
    path,
    clients,
    tps: middle(sample => sample.tps),
    spread: spread(own.map(sample => sample.tps)),
    toDirect: median(ratios(own, samples, 'direct')),
    toHaproxy: median(ratios(own, samples, 'haproxy')),
    p50Us: middle(sample => sample.p50Us),
    p95Us: middle(sample => sample.p95Us),
    p99Us: middle(sample => sample.p99Us),
    routerCpuPer100k: middle(sample => sample.routerCpuPer100k),
  }
}

function ratios(own: readonly Sample[], all: readonly Sample[], base: string): readonly number[] {
  return own.flatMap(({ round, tps }) => {
    const other = all.find(sample => sample.path === base && sample.round === round)
    return other === undefined ? [] : [tps / other.tps]
  })
}
