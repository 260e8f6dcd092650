import assert from 'node:assert/strict'
import test from 'node:test'
import { patchConfig } from '../../../src/cluster/patch.ts'

const config = { ttl: 30, on: true, none: null, list: [1, 2], deep: { a: 1, b: { c: 'x' } } }

const rows: readonly (readonly [string, Parameters<typeof patchConfig>[1], unknown])[] = [
  ['a new key is added, nulls inside it stay', { x: { y: null } }, { ...config, x: { y: null } }],
  ['null removes', { ttl: null }, { on: true, none: null, list: [1, 2], deep: config.deep }],
  ['null for what is not there changes nothing', { nothing: null }, config],
  ['the same text keeps the old type', { ttl: '30', on: 'True', none: 'None' }, config],
  ['true is not the text true', { on: 'true' }, { ...config, on: 'true' }],
  ['mappings merge deeply', { deep: { b: { d: 1 }, a: null } }, { ...config, deep: { b: { c: 'x', d: 1 } } }],
  ['a mapping replaces a value', { ttl: { a: 1 } }, { ...config, ttl: { a: 1 } }],
  ['a value replaces a mapping', { deep: 1 }, { ...config, deep: 1 }],
  ['lists replace', { list: [1] }, { ...config, list: [1] }],
  ['the same list changes nothing', { list: [1, 2] }, config],
]
for (const [what, patch, expected] of rows) {
  test(`patching: ${what}`, () => {
    const before = JSON.stringify(config)
    assert.deepEqual(patchConfig(config, patch), expected)
    assert.equal(JSON.stringify(config), before)
  })
}

test('patching without a change returns the very same object', () => {
  assert.equal(patchConfig(config, { ttl: 30, deep: { a: 1 } }), config)
})
