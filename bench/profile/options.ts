// The command line of `npm run bench:profile`.

import { parseFlags } from '../../scripts/lib/flags.js'
import { SetupError } from '../../scripts/lib/say.js'
import { positive } from '../options.ts'

export const WORKLOADS = ['connects', 'cut', 'echo'] as const

export interface ProfileOptions {
  readonly workload: (typeof WORKLOADS)[number]
  /** Of each of the three passes; a cut takes what it takes. */
  readonly seconds: number
}

export const HELP = `usage: npm run bench:profile -- WORKLOAD [--seconds N]
  WORKLOAD     ${WORKLOADS.join(', ')}
  --seconds    length of each pass (default 5): undisturbed, with perf, with strace
`

/** Reads the arguments; undefined when help was asked for. SetupError names what was expected. */
export function readOptions(args: readonly string[]): ProfileOptions | undefined {
  const { values, rest } = parseFlags(args, { help: 'switch', seconds: 'value' })
  if (values['help'] === true) return undefined
  const workload = WORKLOADS.find(one => rest.length === 1 && one === rest[0])
  if (workload === undefined)
    throw new SetupError(
      `bench:profile: expected one of ${WORKLOADS.join(', ')}, found ${rest.join(' ') || 'nothing'}`,
    )
  return { workload, seconds: positive('seconds', values['seconds'], 5) }
}
