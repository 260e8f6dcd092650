// npm run sim:mutants: does the simulation find bugs? Puts known ones and accidents into the sources and prints who was found.

import { parseArgs } from 'node:util'
import { huntAll, type Verdict } from './hunt.ts'
import { namedMutants } from './named.ts'
import { randomMutants } from './random.ts'

const RANDOM_FOUND_MIN = 0.8

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    random: { type: 'string', default: '50' },
    'random-seed': { type: 'string', default: '1' },
    only: { type: 'string' },
    processes: { type: 'string', default: '2' },
  },
})

const cell = (text: string) => text.replaceAll('|', '\\|')
const isFound = ({ check, table }: Verdict) => check !== undefined || table !== undefined

function row({ mutant, check, table, seed, seconds }: Verdict): string {
  const found = check ?? (table === undefined ? '**lives**' : `test: ${cell(table)}`)
  return `| ${mutant.name} | ${cell(mutant.bug)} | ${found} | ${seed ?? ''} | ${seconds.toFixed(0)} |`
}

function table(title: string, verdicts: readonly Verdict[]): string {
  const inWorlds = verdicts.filter(({ check }) => check !== undefined).length
  return [
    `${title}: ${verdicts.filter(isFound).length} of ${verdicts.length} found, ${inWorlds} of them in worlds`,
    '',
    '| mutant | what is wrong | found by | at seed | s |',
    '|---|---|---|---|---|',
    ...verdicts.map(row),
    '',
  ].join('\n')
}

const tell = (verdict: Verdict) => console.error(row(verdict))
const isWanted = ({ name }: { readonly name: string }) =>
  values.only === undefined || name.includes(values.only)
const seedsMax = Number(values.seeds)
const atOnce = Number(values.processes)
const accidents = randomMutants(Number(values['random-seed']), Number(values.random)).filter(isWanted)
const common = { seedsMax, atOnce, onVerdict: tell }
// Of the known bugs the worlds alone must find every one.
const named = await huntAll(namedMutants().filter(isWanted), { ...common, withTables: false })
const random = await huntAll(accidents, { ...common, withTables: true })
console.log(table('Known bugs', named))
console.log(table('Accidents', random))
const living = named.filter(verdict => !isFound(verdict))
const foundShare = random.filter(isFound).length / Math.max(1, random.length)
if (living.length > 0) console.log(`not found: ${living.map(({ mutant }) => mutant.name).join(', ')}`)
if (random.length > 0 && foundShare < RANDOM_FOUND_MIN)
  console.log(`only ${Math.round(foundShare * 100)} % of the accidents were found`)
process.exitCode = living.length === 0 && (random.length === 0 || foundShare >= RANDOM_FOUND_MIN) ? 0 : 1
