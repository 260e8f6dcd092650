import assert from 'node:assert/strict'
import test from 'node:test'
import { NEEDS } from '../../../scripts/lib/needs.js'
import { planFiles } from '../../../scripts/lib/tests/tiers.js'

const here = 'test/unit/scripts/tiers.test.ts'

test('a named file is planned with the stage of its tier', () => {
  const [planned, ...others] = planFiles({ files: [here] })
  assert.deepEqual(others, [])
  assert.equal(planned?.file, here)
  assert.equal(planned?.stage.name, 'unit')
  assert.equal(planned?.stage.isolated, false)
})

test('a named folder plans the files below it', () => {
  const files = planFiles({ files: ['test/unit/scripts'] }).map(({ file }) => file)
  assert.ok(files.includes(here))
  assert.ok(files.every(file => file.startsWith('test/unit/scripts/')))
})

test('a tier plans nothing of the others', () => {
  assert.ok(planFiles({ tier: 'unit' }).every(({ tier }) => tier === 'unit'))
  assert.ok(planFiles({ tier: 'real' }).every(({ tier }) => ['integration', 'interop'].includes(tier)))
})

test('what only long tests need is installed for them alone', () => {
  const beyond = [
    ['test/interop/drivers.long.test.ts', 'drivers', 'default-jdk-headless'],
    ['test/integration/pgbackrest.long.test.ts', 'backup', 'pgbackrest'],
    ['test/faults/storage-hangs.long.test.ts', 'disk', 'bindfs'],
    ['test/integration/postgres-family-hangs.long.test.ts', 'disk', 'bindfs'],
    ['test/integration/postgres-secrets.long.test.ts', 'audit', 'postgresql-15-pgaudit'],
    ['test/interop/completion-zsh.long.test.ts', 'shell', 'zsh'],
  ] as const
  for (const [file, purpose, debian] of beyond) {
    assert.equal(planFiles({ files: [file] })[0]?.purpose, purpose)
    const needed = NEEDS.filter(({ package: name }) => name === debian)
    assert.deepEqual(
      needed.map(({ purposes }) => purposes),
      [[purpose]],
    )
  }
  const extra = new Set<string>(beyond.map(([, purpose]) => purpose))
  assert.ok(planFiles({}).every(({ purpose }) => !extra.has(purpose)))
})

test('a mistyped tier or file is refused, it must not look like an empty success', () => {
  assert.throws(() => planFiles({ tier: 'unti' }), /unknown tier unti/)
  assert.throws(
    () => planFiles({ files: ['test/unit/nowhere.test.ts'] }),
    /no test file here: test\/unit\/nowhere/,
  )
})
