// What the figures are to reach, and whether they do. Pure.

import type { Sample } from './sample.ts'
import { median, spread } from './statistics.ts'
import { ratios } from './summary.ts'

/** `within the spread`: on the side that it names, but nearer to the limit than the rounds are to each other. */
export type Verdict = 'yes' | 'yes, within the spread' | 'no, within the spread' | 'no'

/** One goal on one path. */
export interface Reached {
  readonly goal: string
  readonly path: string
  /** Median over the rounds. */
  readonly value: number
  /** Half the distance between the best and the worst round, in the unit of the value. */
  readonly spread: number
  readonly digits: number
  readonly verdict: Verdict
}

interface Goal {
  /** How it reads, limit included. */
  readonly title: string
  readonly workload: string
  /** From one sample; `x HAProxy` where it is a ratio to HAProxy's sample of the same round. */
  readonly figure: 'value' | 'p99Us' | 'machineCpu'
  readonly isRatio: boolean
  readonly isAtMost: boolean
  readonly limit: number
}

type Limit = Pick<Goal, 'isAtMost' | 'limit'>

const atLeast = (limit: number): Limit => ({ isAtMost: false, limit })
const atMost = (limit: number): Limit => ({ isAtMost: true, limit })

function ratio(what: string, workload: string, figure: Goal['figure'], limit: Limit): Goal {
  const sign = limit.isAtMost ? '<=' : '>='
  const title = `${what} ${sign} ${limit.limit.toFixed(2)} x HAProxy`
  return { title, workload, figure, isRatio: true, ...limit }
}

function plain(what: string, unit: string, workload: string, limit: Limit): Goal {
  return { title: `${what} <= ${limit.limit} ${unit}`, workload, figure: 'value', isRatio: false, ...limit }
}

function crowd(clients: number): string {
  return clients === 1 ? '1 client' : `${clients} clients`
}

const selects: readonly (readonly [number, number])[] = [
  [1, 0.98],
  [8, 1],
  [32, 0.97],
]

export const GOALS: readonly Goal[] = [
  ...selects.map(([clients, limit]) =>
    ratio(`TPS, ${crowd(clients)}`, `select, ${clients} clients`, 'value', atLeast(limit)),
  ),
  ratio('p99, 8 clients', 'select, 8 clients', 'p99Us', atMost(1.05)),
  ...selects.map(([clients]) =>
    ratio(`CPU per transaction, ${crowd(clients)}`, `select, ${clients} clients`, 'machineCpu', atMost(1.1)),
  ),
  ...['bulk down', 'bulk up'].map(name => ratio(name, name, 'value', atLeast(0.95))),
  ratio('connects', 'connects, 8 at a time', 'value', atLeast(0.9)),
  ...[2000, 9000].map(count =>
    plain(`an idle session of ${count}`, 'bytes', `memory of ${count} idle sessions`, atMost(6 * 1024)),
  ),
  plain('cut of 5000 sessions', 'ms', 'cut of 5000 sessions', atMost(200)),
]

/** Each goal whose workload was measured, on each path of ours. */
export function checkGoals(samples: readonly Sample[]): readonly Reached[] {
  return GOALS.flatMap(goal => {
    const all = samples.filter(({ workload }) => workload === goal.workload)
    const paths = [...new Set(all.map(sample => sample.path))].filter(path => path.startsWith('pgherd'))
    return paths.flatMap(path => reached(goal, path, all) ?? [])
  })
}

function reached(goal: Goal, path: string, all: readonly Sample[]): Reached | undefined {
  const own = all.filter(sample => sample.path === path)
  const pick = (sample: Sample) => sample[goal.figure]
  const values = (goal.isRatio ? ratios(own, all, 'haproxy', pick) : own.map(pick)).filter(Number.isFinite)
  if (values.length === 0) return undefined
  const value = median(values)
  const around = spread(values) * value
  return {
    goal: goal.title,
    path,
    value,
    spread: around,
    digits: goal.isRatio ? 2 : 0,
    verdict: verdictOf(goal, value, around),
  }
}

function verdictOf({ isAtMost, limit }: Limit, value: number, around: number): Verdict {
  /** How far on the right side of the limit. */
  const margin = isAtMost ? limit - value : value - limit
  if (margin >= 0) return margin >= around ? 'yes' : 'yes, within the spread'
  return -margin <= around ? 'no, within the spread' : 'no'
}

/** A table with a row for each goal and a column for each path of ours; undefined when no goal was measured. */
export function printGoals(samples: readonly Sample[]): string | undefined {
  const all = checkGoals(samples)
  if (all.length === 0) return undefined
  const paths = [...new Set(all.map(({ path }) => path))]
  const goals = [...new Set(all.map(({ goal }) => goal))]
  const rows = goals.map(goal => [
    goal,
    ...paths.map(path => {
      const one = all.find(reachedOne => reachedOne.goal === goal && reachedOne.path === path)
      return one === undefined
        ? '-'
        : `${one.value.toFixed(one.digits)} ± ${one.spread.toFixed(one.digits)}: ${one.verdict}`
    }),
  ])
  const head = ['goal', ...paths]
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}
