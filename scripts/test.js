#!/usr/bin/env node
// npm test: all set-up, then every test. `-- FILE...` runs some files, `--tier NAME` one tier, `--long` the long ones too.

import { fileURLToPath } from 'node:url'
import { parseFlags } from './lib/flags.js'
import { runMain } from './lib/say.js'
import { printSetup, setUp } from './lib/setup.js'
import { planFiles } from './lib/tests/tiers.js'

const HELP = `usage: npm test -- [--tier NAME] [--long] [--source] [--no-check] [--no-install] [FILE or FOLDER ...]
  --tier NAME    unit, contract, simulation, integration, interop, faults, web, or real (the three before web)
  --long         also the files named *.long.test.ts
  --source       run the program from src instead of packing it first
  --no-check     without tsc and biome (the default when files are named)
  --no-install   print what set-up would run, and stop
`

await runMain(async () => {
  const { values, rest } = parseFlags(process.argv.slice(2), {
    help: 'switch',
    tier: 'value',
    long: 'switch',
    source: 'switch',
    'no-check': 'switch',
    'no-install': 'switch',
  })
  if (values['help'] === true) {
    process.stdout.write(HELP)
    return 0
  }
  const tier = typeof values['tier'] === 'string' ? values['tier'] : undefined
  const plan = planFiles({ tier, files: rest, long: values['long'] === true })
  const purposes = neededPurposes(plan)
  if (values['no-install'] === true) {
    await printSetup(purposes)
    return 0
  }
  const done = await setUp(purposes, fileURLToPath(import.meta.url), { build: false })
  if (done !== undefined) return done
  const { runTests } = await import('./lib/tests/main.js')
  return runTests(plan, {
    complete: tier === undefined && rest.length === 0,
    long: values['long'] === true,
    checks: rest.length === 0 && values['no-check'] !== true,
    fromSource: values['source'] === true,
  })
})

/**
 * @param {ReturnType<typeof planFiles>} plan
 * @returns {readonly import('./lib/needs.js').Purpose[]}
 */
function neededPurposes(plan) {
  return [...new Set(plan.map(({ purpose }) => purpose))]
}
