// What a run says at its end: what was tried, how often, what is missing, and how to replay a failure.

import type { Counts } from './counts.ts'
import { rulesToSee } from './rules.ts'
import type { Failure, Outcome } from './runner.ts'

/** At least this much must have happened in 2,000 seeds, so that a green run means something. */
export const MINIMA: Readonly<Record<string, number>> = {
  promotions: 1_200,
  'demotions by deadline': 300,
  'leader leases lost': 500,
  'divergences rewound': 150,
  'sync waits': 2_000,
  'freezes over ttl': 350,
  'second faults during recovery': 2_000,
  'etcd elections': 300,
  'machines reset by a watchdog': 150,
  'partition member alone': 150,
  'partition member without etcd': 150,
  'partition requests to etcd lost': 150,
  'partition answers of etcd lost': 150,
  'partition member without members': 150,
  'partition island with clients': 150,
  'partition leader unseen by proxies': 150,
  'partition proxy without etcd': 150,
  'partition etcd halves': 150,
  'partition ring': 150,
  'partition standbys apart': 150,
  'leader lost, standbys apart': 100,
  'proxy frozen with an answer': 100,
  'blind proxy beside an abandoned leader': 100,
  'switchover scheduled': 100,
  'synchronous for a while': 20,
  'initialize key deleted': 100,
  'data directory of the leader emptied': 40,
}
const MINIMA_SEEDS = 2_000
/** Fewer seeds say nothing about what is rare. */
const JUDGED_SEEDS = 400

/** What did not happen often enough, one line each. */
export function shortfalls({ seeds, counts }: Outcome): readonly string[] {
  if (seeds < JUDGED_SEEDS) return []
  const few = Object.entries(MINIMA).flatMap(([name, minimum]) => {
    const wanted = Math.floor((minimum * Math.min(seeds, MINIMA_SEEDS)) / MINIMA_SEEDS)
    return counts.get(name) >= wanted ? [] : [`${name}: ${counts.get(name)}, expected at least ${wanted}`]
  })
  const silent = seeds < MINIMA_SEEDS ? [] : rulesToSee.filter(rule => !counts.rules.has(rule))
  return [...few, ...silent.map(rule => `the rule ${rule} never spoke`)]
}

export function printCounts(counts: Counts): string {
  const { counts: happened, rules, outcomes, maxima } = counts.toJson()
  return [
    'what happened',
    ...table(happened),
    '',
    'rules that spoke (turns and sentences)',
    ...table(rules),
    '',
    'outcomes of actions, by rule',
    ...table(outcomes),
    '',
    'largest values',
    ...table(maxima),
  ].join('\n')
}

function table(values: Readonly<Record<string, number>>): readonly string[] {
  const width = Math.max(0, ...Object.keys(values).map(name => name.length))
  return Object.entries(values).map(([name, value]) => `  ${name.padEnd(width)} ${value}`)
}

/** One failing seed, and the command that shows it again. */
export function printFailure({ seed, says }: Failure): string {
  return `seed ${seed}: ${says}\n  again: npm run sim -- --seed ${seed}`
}
