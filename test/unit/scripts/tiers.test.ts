import assert from 'node:assert/strict'
import test from 'node:test'
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

test('the JVM is installed for the long test of drivers alone', () => {
  const [drivers] = planFiles({ files: ['test/interop/drivers.long.test.ts'] })
  assert.equal(drivers?.purpose, 'drivers')
  assert.ok(planFiles({}).every(({ purpose }) => purpose !== 'drivers'))
})

test('a mistyped tier or file is refused, it must not look like an empty success', () => {
  assert.throws(() => planFiles({ tier: 'unti' }), /unknown tier unti/)
  assert.throws(
    () => planFiles({ files: ['test/unit/nowhere.test.ts'] }),
    /no test file here: test\/unit\/nowhere/,
  )
})
