// Loaded before anything else in a worker: changes one source file while it is read. The files on disk stay as they are.

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { applyChange, type Change, MUTANT_VARIABLE } from './change.ts'

const text = process.env[MUTANT_VARIABLE]
if (text !== undefined) {
  const changes = JSON.parse(text) as readonly Change[]
  const urlOf = ({ file }: Change) => new URL(`../../../${file}`, import.meta.url).href
  registerHooks({
    load(url, context, nextLoad) {
      const own = changes.filter(change => urlOf(change) === url)
      if (own.length === 0) return nextLoad(url, context)
      const source = own.reduce(applyChange, readFileSync(fileURLToPath(url), 'utf8'))
      return { format: 'module-typescript', source, shortCircuit: true }
    },
  })
}
