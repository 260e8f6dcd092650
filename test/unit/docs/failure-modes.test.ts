// docs/failure-modes.md: every row names a test that is written somewhere.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { mayName } from './literals.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const page = readFileSync(path.join(root, 'docs/failure-modes.md'), 'utf8')
const rows = page
  .split('\n')
  .filter(line => line.startsWith('|') && !/^\| (fault|mistake) \||^\|---/.test(line))

test('every failure mode names a test that exists', () => {
  assert.ok(rows.length > 20)
  for (const row of rows) {
    const [, file = '', name = ''] = /\| `(test\/\S+\.test\.ts)` ([^|]+) \|$/.exec(row) ?? []
    assert.ok(existsSync(path.join(root, file)) && file !== '', `names no test: ${row}`)
    assert.ok(mayName(path.join(root, file), name), `${file} has no test "${name}"`)
  }
})
