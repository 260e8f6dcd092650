import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'

const root = path.resolve(import.meta.dirname, '../../..')

for (const [script, ...words] of [
  ['scripts/demo.js', '--no-install'],
  ['scripts/demo.js', '--no-install', '--versus'],
  ['scripts/test.js', '--no-install'],
] as const) {
  test(`${[script, ...words].join(' ')} prints the commands of the set-up and runs none of them`, t => {
    const folder = mkdtempSync(path.join(tmpdir(), 'no-install-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const called = path.join(folder, 'called')
    for (const program of ['apt-get', 'sudo', 'npm', 'setpriv']) {
      writeFileSync(path.join(folder, program), `#!/bin/sh\necho "${program} $*" >> '${called}'\n`)
      chmodSync(path.join(folder, program), 0o755)
    }
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` }
    const ran = spawnSync(process.execPath, [path.join(root, script), ...words], {
      cwd: root,
      env,
      encoding: 'utf8',
      timeout: 20_000,
    })
    assert.equal(ran.status, 0, ran.stderr)
    assert.match(ran.stdout, /set-up would run, in this directory:\n.*npm run build\n$/s)
    assert.equal(existsSync(called), false, 'a command was run')
  })
}
