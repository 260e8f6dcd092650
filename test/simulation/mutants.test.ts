import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { applyChange } from './mutants/change.ts'
import { namedMutants } from './mutants/named.ts'
import { allAccidents, randomMutants } from './mutants/random.ts'

const root = path.join(import.meta.dirname, '../..')

test('every known bug can still be put into the sources', () => {
  const mutants = namedMutants()
  assert.ok(mutants.length >= 12)
  for (const change of mutants.flatMap(({ changes }) => changes)) {
    const text = readFileSync(path.join(root, change.file), 'utf8')
    assert.notEqual(applyChange(text, change), text)
  }
})

test('accidents are the same for the same seed, and there are enough to choose from', () => {
  assert.ok(allAccidents().length > 300)
  const names = (seed: number) => randomMutants(seed, 50).map(({ name, bug }) => `${name} ${bug}`)
  assert.deepEqual(names(1), names(1))
  assert.notDeepEqual(names(1), names(2))
})
