import assert from 'node:assert/strict'
import test from 'node:test'
import { parseYamlMapping, parseYamlValue } from '../../../../src/config/agent/yaml.ts'
import { UserError } from '../../../../src/platform/errors.ts'

const rows: readonly (readonly [string, unknown])[] = [
  ['no', false],
  ['Off', false],
  ['yes', true],
  ['ON', true],
  ['y', 'y'],
  ['n', 'n'],
  ['oN', 'oN'],
  ['"no"', 'no'],
  ['0644', 420],
  ['0x1F', 31],
  ['0b101', 5],
  ['0b_', 0],
  ['1_000', 1000],
  ['1:30', 90],
  ['1:30:05', 5405],
  ['-1:30', -90],
  ['0999', '0999'],
  ['1e3', '1e3'],
  ['1.0e+3', 1000],
  ['.5', 0.5],
  ['1:30.5', 90.5],
  ['-.inf', Number.NEGATIVE_INFINITY],
  ['~', null],
  ['', null],
  ['NULL', null],
  ['localhost:5432', 'localhost:5432'],
  ['100M', '100M'],
  ['7254783641903459839999', 7254783641903459839999n],
  ['!!str 5432', '5432'],
  ['2026-11-24', '2026-11-24'],
]
for (const [text, want] of rows) {
  test(`${text === '' ? 'nothing' : text} is read as PyYAML reads it`, () => {
    assert.deepEqual(parseYamlMapping(`a: ${text}\n`, 'f').value['a'], want)
  })
}

test('merge keys and aliases are expanded', () => {
  const { value } = parseYamlMapping('a: &x {k: 1}\nb:\n  <<: *x\n  q: no\n', 'f')
  assert.deepEqual(value, { a: { k: 1 }, b: { k: 1, q: false } })
})

test('the last of two equal keys wins, as in PyYAML', () => {
  assert.deepEqual(parseYamlMapping('a: 1\na: 2\n', 'f').value, { a: 2 })
})

test('every key knows its line', () => {
  const { places } = parseYamlMapping('a: 1\nb:\n  c:\n  - x\n  - y: 2\n', 'f.yml')
  assert.deepEqual(places.find(['b', 'c', '1', 'y']), { file: 'f.yml', line: 5, variable: undefined })
  assert.equal(places.find(['b', 'missing'])?.line, 2)
  assert.equal(places.find(['missing']), undefined)
})

const broken: readonly (readonly [string, RegExp])[] = [
  ['a: [1\nb: 2', /^f:\d: is no YAML: /],
  ['- a\n- b\n', /^f:1: expected a mapping/],
  ['just text', /^f:1: expected a mapping/],
  ['# only a comment\n', /^f: is empty/],
  ['a: *unknown\n', /^f:?1?: is no YAML: /],
  ['a: 1\n---\nb: 2\n', /^f:\d: is no YAML: /],
  ['a: 1\n\tb: 2\n', /^f:\d: is no YAML: /],
]
for (const [text, want] of broken) {
  test(`${JSON.stringify(text)} ends with one line for the user`, () => {
    assert.throws(
      () => parseYamlMapping(text, 'f'),
      error => error instanceof UserError && want.test(error.message) && !error.message.includes('\n'),
    )
  })
}

test('a bomb of aliases is refused', () => {
  const bomb = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]']
  for (let n = 1; n < 9; n++)
    bomb.push(
      `a${n}: &a${n} [${Array(10)
        .fill(`*a${n - 1}`)
        .join(',')}]`,
    )
  assert.throws(() => parseYamlMapping(bomb.join('\n'), 'f'), UserError)
})

test('a single value that is no YAML is undefined', () => {
  assert.equal(parseYamlValue('[1, 2'), undefined)
  assert.deepEqual(parseYamlValue('[a, no, 010]'), ['a', false, 8])
})
