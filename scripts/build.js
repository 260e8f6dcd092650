#!/usr/bin/env node
// npm run build: modules if missing, then dist.

import { build } from './lib/build.js'
import { installModules } from './lib/modules.js'
import { runMain } from './lib/say.js'

await runMain(async () => {
  await installModules()
  await build()
  return 0
})
