// Texts that people read (messages, tables), kept beside the tests as files and reviewed as diffs.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

const SNAPSHOTS = path.resolve(import.meta.dirname, '../fixtures/snapshots')

/**
 * Compares `text` with `test/fixtures/snapshots/<name>.snap.txt`. With UPDATE_SNAPSHOTS=1 the file is rewritten instead;
 * without it, a file that does not exist is a failure. What differs between runs (paths, ports) must be replaced before.
 */
export async function matchSnapshot(
  name: string,
  text: string,
  directory: string = SNAPSHOTS,
): Promise<void> {
  const file = path.join(directory, `${name}.snap.txt`)
  const actual = text.endsWith('\n') ? text : `${text}\n`
  if (process.env['UPDATE_SNAPSHOTS'] === '1') {
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, actual)
    return
  }
  const expected = await readFile(file, 'utf8').catch(() => undefined)
  if (expected === undefined) assert.fail(`no snapshot ${file}; write it with UPDATE_SNAPSHOTS=1 and read it`)
  assert.equal(
    actual,
    expected,
    `${name} differs from its snapshot; if that is right, rewrite it with UPDATE_SNAPSHOTS=1`,
  )
}
