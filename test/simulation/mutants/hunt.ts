// Hunts mutants: runs seeds on changed sources until one world fails, and says which and why.

import { fileURLToPath } from 'node:url'
import { Random } from '../core/random.ts'
import { runSeeds } from '../runner.ts'
import { type Durability, drawSettings } from '../settings.ts'
import { MUTANT_VARIABLE } from './change.ts'
import type { Mutant } from './named.ts'
import { huntInTables } from './tables.ts'

const REGISTER = fileURLToPath(new URL('./register.ts', import.meta.url))

export interface Verdict {
  readonly mutant: Mutant
  /** Name of the check that found it; undefined when no world showed it. */
  readonly check: string | undefined
  /** The unit test that fails on it, where no world did and the tables were asked. */
  readonly table?: string | undefined
  /** The seed that found it. */
  readonly seed: number | undefined
  readonly seeds: number
  readonly seconds: number
}

/** The mode of a seed's world; a bug in what one mode does is not looked for in the others. */
function modeOf(seed: number): Durability {
  return drawSettings(new Random(seed).fork('settings')).durability
}

/** Runs up to `seedsMax` seeds in one process. */
export async function hunt(mutant: Mutant, seedsMax: number): Promise<Verdict> {
  const startedMs = performance.now()
  const { failures, seeds } = await runSeeds({
    from: 1,
    count: seedsMax,
    processes: 1,
    failuresMax: 1,
    isWanted: seed => mutant.modes === undefined || mutant.modes.includes(modeOf(seed)),
    env: { [MUTANT_VARIABLE]: JSON.stringify(mutant.changes) },
    execArgv: ['--import', REGISTER],
  })
  const found = failures[0]
  const seconds = (performance.now() - startedMs) / 1000
  return { mutant, check: found?.check, seed: found?.seed, seeds, seconds }
}

export interface HuntOptions {
  readonly seedsMax: number
  /** How many mutants at a time, each in a process of its own. */
  readonly atOnce: number
  /** Are the unit tests asked about what no world showed? */
  readonly withTables: boolean
  readonly onVerdict: (verdict: Verdict) => void
}

/** Hunts several at a time; the verdicts are in the order of the mutants. */
export async function huntAll(
  mutants: readonly Mutant[],
  { seedsMax, atOnce, withTables, onVerdict }: HuntOptions,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = []
  const left = [...mutants]
  const serve = async () => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const inWorlds = await hunt(mutant, seedsMax)
      const isAsked = withTables && inWorlds.check === undefined
      const verdict = isAsked ? { ...inWorlds, table: await huntInTables(mutant) } : inWorlds
      verdicts.push(verdict)
      onVerdict(verdict)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, serve))
  const order = new Map(mutants.map((mutant, index) => [mutant, index]))
  return verdicts.sort((a, b) => (order.get(a.mutant) ?? 0) - (order.get(b.mutant) ?? 0))
}
