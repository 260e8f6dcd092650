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

function row({ mutant, check, seed, seconds }: Verdict): string {
  const found = check === undefined ? '**lives**' : check
  return `| ${mutant.name} | ${mutant.bug.replaceAll('|', '\\|')} | ${found} | ${seed ?? ''} | ${seconds.toFixed(0)} |`
}

function table(title: string, verdicts: readonly Verdict[]): string {
  const found = verdicts.filter(({ check }) => check !== undefined).length
  return [
    `${title}: ${found} of ${verdicts.length} found`,
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
const named = await huntAll(namedMutants().filter(isWanted), seedsMax, atOnce, tell)
const random = await huntAll(accidents, seedsMax, atOnce, tell)
console.log(table('Known bugs', named))
console.log(table('Accidents', random))
const living = named.filter(({ check }) => check === undefined)
const foundShare = random.filter(({ check }) => check !== undefined).length / Math.max(1, random.length)
if (living.length > 0) console.log(`not found: ${living.map(({ mutant }) => mutant.name).join(', ')}`)
if (random.length > 0 && foundShare < RANDOM_FOUND_MIN)
  console.log(`only ${Math.round(foundShare * 100)} % of the accidents were found`)
process.exitCode = living.length === 0 && (random.length === 0 || foundShare >= RANDOM_FOUND_MIN) ? 0 : 1
