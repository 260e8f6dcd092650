// Links between the documents.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'

const root = path.resolve(import.meta.dirname, '../../..')

function documents(folder = 'docs'): readonly string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap(entry => {
    const name = `${folder}/${entry.name}`
    return entry.isDirectory() ? documents(name) : name.endsWith('.md') ? [name] : []
  })
}

test('every link between the documents leads to a file', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...documents()]
  for (const name of pages) {
    const text = readFileSync(path.join(root, name), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target)) continue
      assert.ok(existsSync(path.resolve(root, path.dirname(name), target)), `${name} links to ${target}`)
    }
  }
})
