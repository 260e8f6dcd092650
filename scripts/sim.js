#!/usr/bin/env node
// npm run sim, npm run sim:mutants: set-up, then the program below test/simulation with the project's own Node.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectNode, root } from './lib/paths.js'
import { runInherited } from './lib/run.js'
import { runMain } from './lib/say.js'
import { setUp } from './lib/setup.js'

await runMain(async () => {
  const [first = '', ...others] = process.argv.slice(2)
  const isMutants = first === 'mutants'
  const args = isMutants || first === '' ? others : [first, ...others]
  const done = await setUp('build', fileURLToPath(import.meta.url))
  if (done !== undefined) return done
  const program = path.join(root, 'test/simulation', isMutants ? 'mutants/main.ts' : 'main.ts')
  return runInherited(projectNode, [program, ...args])
})
