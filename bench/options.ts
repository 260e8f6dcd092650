// The command line of `npm run bench`.

import { parseFlags } from '../scripts/lib/flags.js'
import { SetupError } from '../scripts/lib/say.js'
import { GROUPS, type Group } from './workloads.ts'

/** What to measure and how long. */
export interface BenchOptions {
  /** Numbers of clients at once. */
  readonly clients: readonly number[]
  /** How often each path is measured at each number of clients. */
  readonly rounds: number
  /** Of one measurement. */
  readonly durationSeconds: number
  /** pgbench's scale: 100,000 rows each. */
  readonly scale: number
  readonly groups: readonly Group[]
  /** With more than 1: pgherd with so many threads is one more path. */
  readonly threads: number
  /** Few sessions where many are measured, to see that it works. */
  readonly isQuick: boolean
  /** Is it kept under version control? Then the picture for the README is drawn from it, too, if it is a whole run. */
  readonly isStored: boolean
  /** Directory for the JSON file. */
  readonly out: string
}

export const HELP = `usage: npm run bench -- [--quick] [--rounds N] [--seconds N] [--clients 1,8,32,64] [--only GROUP,...] [--threads N] [--store] [--out DIR]
  --quick      one short round, to see that everything works; its figures mean nothing
  --rounds     measurements of each path at each number of clients, interleaved (default 5)
  --seconds    length of one measurement (default 5)
  --clients    numbers of clients at once (default 1,8,32,64)
  --only       groups of measurements: ${GROUPS.join(', ')}
  --threads    with N above 1: pgherd with so many threads as one more path
  --store      keep the result under version control (bench/results); when everything was measured, later runs are compared
               with it and docs/bench.svg is drawn from it
  --out DIR    write the JSON file there (default bench/results/local)
  --no-install print what set-up would run, and stop
`

const CLIENTS = [1, 8, 32, 64]
const FULL = { rounds: 5, durationSeconds: 5, scale: 10 }
const QUICK = { rounds: 1, durationSeconds: 1, scale: 1 }

/** Reads the arguments; undefined when help was asked for. SetupError names what was expected. */
export function readOptions(args: readonly string[], results: string): BenchOptions | undefined {
  const { values, rest } = parseFlags(args, {
    help: 'switch',
    quick: 'switch',
    store: 'switch',
    rounds: 'value',
    seconds: 'value',
    clients: 'value',
    only: 'value',
    threads: 'value',
    out: 'value',
  })
  if (values['help'] === true) return undefined
  if (rest.length > 0) throw new SetupError(`bench takes no argument ${rest.join(' ')}`)
  const isQuick = values['quick'] === true
  const isStored = values['store'] === true
  if (isQuick && isStored)
    throw new SetupError('--quick measures nothing to keep: leave out --quick or --store')
  const base = isQuick ? QUICK : FULL
  const out = values['out'] ?? (isStored ? results : `${results}/local`)
  return {
    scale: base.scale,
    rounds: positive('rounds', values['rounds'], base.rounds),
    durationSeconds: positive('seconds', values['seconds'], base.durationSeconds),
    clients: String(values['clients'] ?? CLIENTS)
      .split(',')
      .map(text => positive('clients', text, 0)),
    groups: groups(values['only']),
    threads: positive('threads', values['threads'], 1),
    isQuick,
    isStored,
    out: String(out),
  }
}

/** What a whole run measures and this one does not: groups and numbers of clients. Of a whole run nothing. */
export function leftOut({ groups, clients }: Pick<BenchOptions, 'groups' | 'clients'>): readonly string[] {
  return [
    ...GROUPS.filter(group => !groups.includes(group)),
    ...CLIENTS.filter(count => !clients.includes(count)).map(count => `${count} clients`),
  ]
}

function groups(text: string | true | undefined): readonly Group[] {
  if (text === undefined) return GROUPS
  return String(text)
    .split(',')
    .map(name => {
      const group = GROUPS.find(one => one === name)
      if (group === undefined) throw new SetupError(`--only: expected ${GROUPS.join(', ')}, found ${name}`)
      return group
    })
}

/** A number from 1 to 1000; SetupError names the flag otherwise. */
export function positive(name: string, text: string | true | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const number = Number(text)
  if (Number.isInteger(number) && number > 0 && number <= 1000) return number
  throw new SetupError(`--${name}: expected a whole number from 1 to 1000, found ${text}`)
}
