import assert from 'node:assert/strict'
import test from 'node:test'
import { differences } from '../../../scripts/lib/modules.js'

const pg = { version: '8.1.0', integrity: 'sha512-a' }

test('modules that match the lock file are left alone', () => {
  assert.deepEqual(differences({ '': {}, 'node_modules/pg': pg }, { 'node_modules/pg': pg }), [])
})

test('a missing module and one in another version are named', () => {
  const lock = { 'node_modules/pg': pg, 'node_modules/a/node_modules/b': { version: '1.0.0' } }
  assert.deepEqual(differences(lock, { 'node_modules/pg': { ...pg, version: '8.0.0' } }), ['pg', 'b'])
})

test('the same version with other contents is not the same module', () => {
  assert.deepEqual(
    differences({ 'node_modules/pg': pg }, { 'node_modules/pg': { ...pg, integrity: 'sha512-b' } }),
    ['pg'],
  )
})

test('optional modules for other systems are not missed', () => {
  const lock = {
    'node_modules/mac': { version: '1', optional: true, os: ['darwin'] },
    'node_modules/other-cpu': { version: '1', optional: true, cpu: ['mips'] },
    'node_modules/musl': { version: '1', optional: true, os: ['linux'], libc: ['musl'] },
    'node_modules/of-one-for-wasm': { version: '1', optional: true },
    'node_modules/ours': { version: '1', optional: true, os: ['linux'], cpu: [process.arch] },
  }
  assert.deepEqual(differences(lock, {}), ['ours'])
})
