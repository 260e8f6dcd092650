// Loaded before anything else in a worker: changes one source file while it is read. The files on disk stay as they are.

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { applyChange, type Change, MUTANT_VARIABLE } from './change.ts'

const text = process.env[MUTANT_VARIABLE]
if (text !== undefined) {
  const change = JSON.parse(text) as Change
  const target = new URL(`../../../${change.file}`, import.meta.url).href
  registerHooks({
    load(url, context, nextLoad) {
      if (url !== target) return nextLoad(url, context)
      const source = applyChange(readFileSync(fileURLToPath(url), 'utf8'), change)
      return { format: 'module-typescript', source, shortCircuit: true }
    },
  })
}
