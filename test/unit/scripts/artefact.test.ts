import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { programWords } from '../../../scripts/lib/artefact.js'

const root = path.resolve(import.meta.dirname, '../../..')
const [firstLine = ''] = readFileSync(path.join(root, 'src/main.ts'), 'utf8').split('\n', 1)

test('started by its first line, the program has a small young heap, and the tests start it with the same options', t => {
  const folder = mkdtempSync(path.join(tmpdir(), 'first-line-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const main = path.join(folder, 'main.js')
  writeFileSync(main, `${firstLine}\nconsole.log(JSON.stringify(process.execArgv))\n`, { mode: 0o755 })
  const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}` }
  const ran = spawnSync(main, [], { env, encoding: 'utf8', timeout: 20_000 })
  assert.equal(ran.status, 0, ran.stderr)
  const options = JSON.parse(ran.stdout) as string[]
  assert.deepEqual(options, ['--max-semi-space-size=2'])
  assert.deepEqual(programWords('/opt/node', main), ['/opt/node', ...options, main])
})

test('a file that does not begin with that line is no program', t => {
  const folder = mkdtempSync(path.join(tmpdir(), 'first-line-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const main = path.join(folder, 'main.js')
  writeFileSync(main, '// nothing\n')
  assert.throws(() => programWords('/opt/node', main), /does not begin with the line that starts node/)
})
