#!/usr/bin/env node
// npm run bench: set-up, then bench/main.ts with the arguments given; `failover` or `profile` as the first one: main.ts of that folder.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectNode, root } from './lib/paths.js'
import { runInherited } from './lib/run.js'
import { runMain } from './lib/say.js'
import { printSetup, setUp } from './lib/setup.js'

await runMain(async () => {
  const given = process.argv.slice(2)
  const folder = ['failover', 'profile'].find(name => name === given[0])
  const args = folder === undefined ? given : given.slice(1)
  const script = folder === undefined ? 'bench/main.ts' : `bench/${folder}/main.ts`
  if (args.includes('--no-install')) {
    await printSetup('bench')
    return 0
  }
  const done = await setUp('bench', fileURLToPath(import.meta.url))
  return done ?? runInherited(projectNode, [path.join(root, script), ...args])
})
