// docs/contracts/compat.md against the tree: each text stands in its source, and the test that is named exists and looks for it.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { mayName } from './literals.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const page = readFileSync(path.join(root, 'docs/contracts/compat.md'), 'utf8')
const TEXT = /^`([^`]+)`$/
const FILE = /^`(src\/\S+\.ts)`$/
const SHOWN = /^`(test\/\S+\.test\.ts)` (.+)$/
const IMPORT = /from '(\.[^']+\.ts)'/g
/** Shorter parts of a text could stand anywhere. */
const PART_MIN = 4

const rows = page
  .split('\n')
  .filter(line => line.startsWith('| ') && !/^\| (text|habit) \|/.test(line))
  .map(line =>
    line
      .slice(1, -1)
      .split(' | ')
      .map(cell => cell.trim()),
  )
const texts = rows.filter(row => row.length === 4)

/** What does not change of a text. */
function fixedParts(text: string): readonly string[] {
  return text.split(/<[^<>]+>/).filter(part => part.trim().length >= PART_MIN)
}

/** A file without the marks of its strings and patterns, so that a text is found however it is written. */
function plain(file: string): string {
  const isBroken = /[`'"]\s*\+\s*[`'"]/g
  return readFileSync(file, 'utf8')
    .replace(/\\/g, '')
    .replace(isBroken, '')
    .replace(/\$\{[^{}]*\}/g, '<>')
}

/** Everything that a test compares with: its own file, what it imports of the test tree, its snapshots. */
function expectations(file: string): string {
  const place = path.join(root, file)
  const imported = [...readFileSync(place, 'utf8').matchAll(IMPORT)]
    .map(([, name = '']) => path.resolve(path.dirname(place), name))
    .filter(name => name.startsWith(path.join(root, 'test')) && existsSync(name))
  const folder = path.join(root, 'test/fixtures/snapshots', path.basename(file, '.test.ts'))
  const snapshots = existsSync(folder) ? readdirSync(folder).map(name => path.join(folder, name)) : []
  return [place, ...imported, ...snapshots].map(plain).join('\n')
}

test('the page has all its tables', () => {
  assert.ok(texts.length >= 20, `${texts.length} texts`)
  assert.ok(rows.length - texts.length >= 5)
  for (const row of rows) {
    assert.match(row.at(-1) ?? '', SHOWN, row.join(' | '))
    assert.ok(row.length === 2 || row.length === 4, row.join(' | '))
  }
})

test('each text of the page stands in the source that the page names', () => {
  for (const [text = '', , source = ''] of texts) {
    const parts = fixedParts(TEXT.exec(text)?.[1] ?? '')
    assert.ok(parts.length > 0, text)
    const code = plain(path.join(root, FILE.exec(source)?.[1] ?? source))
    for (const part of parts) assert.ok(code.includes(part), `${source} has no "${part}"`)
  }
})

test('each test of the page exists, and looks for its text', () => {
  for (const row of rows) {
    const [, file = '', name = ''] = SHOWN.exec(row.at(-1) ?? '') ?? []
    assert.ok(existsSync(path.join(root, file)), file)
    assert.ok(mayName(path.join(root, file), name), `${file} has no test "${name}"`)
    const text = row.length === 4 ? (TEXT.exec(row[0] ?? '')?.[1] ?? '') : ''
    const wanted = expectations(file)
    for (const part of fixedParts(text))
      assert.ok(wanted.includes(part), `${file} does not look for "${part}"`)
  }
})
