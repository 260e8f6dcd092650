// The page itself, without a run: what `npm test` checks at its end, this finds in a second while a test is renamed.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { readPromises } from '../../../scripts/lib/tests/promises.js'
import { mayName } from './literals.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const { rows, problems } = readPromises(readFileSync(path.join(root, 'docs/promises.md'), 'utf8'))

test('every row of the page of promises can be read', () => {
  assert.deepEqual(problems, [])
})

test('every test that the page of promises names is written somewhere', () => {
  const missing = rows.filter(({ file, name }) => {
    const place = path.join(root, file)
    return !existsSync(place) || !mayName(place, name)
  })
  assert.deepEqual(
    missing.map(({ file, name }) => `${file}: ${name}`),
    [],
  )
})

test('no figure on the page of promises was measured in the future', () => {
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
  assert.deepEqual(
    rows.filter(({ date }) => date > tomorrow),
    [],
  )
})

test('a renamed test is noticed, also one whose name is put together', () => {
  const here = path.join(import.meta.dirname, 'promises.test.ts')
  const decide = path.join(root, 'test/unit/agent/lease-and-fence.test.ts')
  assert.equal(mayName(here, 'every row of the page of promises can be read'), true)
  assert.equal(mayName(here, ['every row', 'of another page'].join(' ')), false)
  const made = 'renewals that end lost do not move the deadline: fast, immediate, kill, in time'
  assert.equal(mayName(decide, made), true)
  assert.equal(mayName(decide, made.replace('deadline', 'limit')), false)
})
