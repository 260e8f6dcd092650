// The command line of `npm run bench:failover`.

import { parseFlags } from '../../scripts/lib/flags.js'
import { SetupError } from '../../scripts/lib/say.js'
import { positive } from '../options.ts'
import { FAULTS, type FaultKind } from './faults.ts'

export interface FailoverOptions {
  /** How often each fault is struck. */
  readonly runs: number
  readonly faults: readonly FaultKind[]
  /** Sessions that are logged in and do nothing while it happens. */
  readonly sessions: number
  /** Directory for the JSON file. */
  readonly out: string
}

export const HELP = `usage: npm run bench:failover -- [--runs N] [--only FAULT,...] [--sessions N] [--store] [--out DIR]
  --runs       how often each fault is struck, one kind after the other in turn (default 20)
  --only       ${FAULTS.join(', ')}
  --sessions   idle sessions at the leader besides the writer (default 100)
  --store      keep the runs under version control (bench/results)
  --out DIR    write the JSON file there (default bench/results/local)
  --no-install print what set-up would run, and stop
`

/** Reads the arguments; undefined when help was asked for. SetupError names what was expected. */
export function readOptions(args: readonly string[], results: string): FailoverOptions | undefined {
  const { values, rest } = parseFlags(args, {
    help: 'switch',
    runs: 'value',
    only: 'value',
    sessions: 'value',
    store: 'switch',
    out: 'value',
  })
  if (values['help'] === true) return undefined
  if (rest.length > 0) throw new SetupError(`bench:failover takes no argument ${rest.join(' ')}`)
  return {
    runs: positive('runs', values['runs'], 20),
    sessions: positive('sessions', values['sessions'], 100),
    faults: values['only'] === undefined ? FAULTS : String(values['only']).split(',').map(faultOf),
    out: String(values['out'] ?? (values['store'] === true ? results : `${results}/local`)),
  }
}

function faultOf(name: string): FaultKind {
  const found = FAULTS.find(one => one === name)
  if (found === undefined) throw new SetupError(`--only: expected ${FAULTS.join(', ')}, found ${name}`)
  return found
}
