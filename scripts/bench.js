#!/usr/bin/env node
// npm run bench: set-up, then bench/main.ts with the arguments given.

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectNode, root } from './lib/paths.js'
import { runInherited } from './lib/run.js'
import { runMain } from './lib/say.js'
import { printSetup, setUp } from './lib/setup.js'

await runMain(async () => {
  const args = process.argv.slice(2)
  if (args.includes('--no-install')) {
    await printSetup('bench')
    return 0
  }
  const done = await setUp('bench', fileURLToPath(import.meta.url))
  return done ?? runInherited(projectNode, [path.join(root, 'bench/main.ts'), ...args])
})
