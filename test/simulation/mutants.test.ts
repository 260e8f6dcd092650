import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { applyChange } from './mutants/change.ts'
import { namedMutants } from './mutants/named.ts'
import { accidentFiles, allAccidents, operators, randomMutants, WITHOUT_ACCIDENTS } from './mutants/random.ts'

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

test('accidents are looked for in every file of the agent, or it is said why not', () => {
  const names = readdirSync(path.join(root, 'src/agent'), { recursive: true, encoding: 'utf8' })
  const there = names.filter(name => name.endsWith('.ts')).map(name => `src/agent/${name}`)
  const listed = accidentFiles().filter(file => file.startsWith('src/agent/'))
  assert.deepEqual([...listed, ...WITHOUT_ACCIDENTS.keys()].sort(), there.sort())
})

test('every kind of accident has a place where it can happen', () => {
  const used = new Set(allAccidents().flatMap(({ changes }) => changes.map(({ from }) => from)))
  assert.deepEqual(
    operators().filter(from => !used.has(from)),
    [],
  )
})
