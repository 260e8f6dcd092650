import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Json } from '../../../src/cluster/json.ts'
import { parseYamlValue } from '../../../src/config/agent/yaml.ts'
import { printYaml } from '../../../src/ctl/yaml-text.ts'

test('a document looks as PyYAML prints it in block style', () => {
  const value: Json = {
    ttl: 30,
    pause: true,
    nothing: null,
    list: [],
    map: {},
    postgresql: {
      parameters: { a: 'on', b: '1', max_connections: 100, ratio: 1e-7, big: 7254783641903459839999n },
      pg_hba: ['host all all md5', 'local all all: trust'],
      nested: [{ name: 'x', type: 'physical' }, [1, 2], []],
    },
  }
  assert.equal(
    printYaml(value),
    `list: []
map: {}
nothing: null
pause: true
postgresql:
  nested:
  - name: x
    type: physical
  - - 1
    - 2
  - []
  parameters:
    a: 'on'
    b: '1'
    big: 7254783641903459839999
    max_connections: 100
    ratio: 1.0e-07
  pg_hba:
  - host all all md5
  - 'local all all: trust'
ttl: 30
`,
  )
})

/** Text and how it is written, as seen of PyYAML. */
const scalars: readonly (readonly [string, string])[] = [
  ['no', "'no'"],
  ['NO', "'NO'"],
  ['nO', 'nO'],
  ['y', 'y'],
  ['', "''"],
  ['~', "'~'"],
  ['null', "'null'"],
  ['0644', "'0644'"],
  ['0999', '0999'],
  ['1:30', "'1:30'"],
  ['1.5', "'1.5'"],
  ['1e3', '1e3'],
  ['2030-01-01', "'2030-01-01'"],
  ["it's", "it's"],
  ["'quoted'", "'''quoted'''"],
  ['*', "'*'"],
  ['a: b', "'a: b'"],
  ['a:b', 'a:b'],
  ['a #b', "'a #b'"],
  ['a#b', 'a#b'],
  ['- a', "'- a'"],
  ['-a', '-a'],
  [' lead', "' lead'"],
  ['{a}', "'{a}'"],
  ['100%', '100%'],
  ['%f', "'%f'"],
  ['grün', 'grün'],
  ['cp /a/%f "%p"', 'cp /a/%f "%p"'],
]
for (const [text, want] of scalars) {
  test(`the text ${JSON.stringify(text)} is written ${want}`, () => {
    assert.equal(printYaml({ k: text }), `k: ${want}\n`)
  })
}

test('whatever is printed is read back as it was', () => {
  const { tree } = fc.letrec<{ tree: Json }>(tie => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        'yes',
        '~',
        '0x1',
        '1:2:3',
        '.inf',
        '=',
        '<<',
        '---',
        '? a',
        'a:',
        ': a',
        '\u0085',
        '\t',
        '\n',
      ),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 60n, max: 2n ** 70n }),
      fc.double({ noDefaultInfinity: true, noNaN: true }).filter(value => !Number.isInteger(value)),
      fc.constant(null),
      fc.array(tie('tree')),
      fc.dictionary(
        fc.string().filter(key => key !== '__proto__' && key !== '<<'),
        tie('tree'),
      ),
    ),
  }))
  fc.assert(
    fc.property(tree, value => {
      const text = printYaml(value)
      assert.deepEqual(sorted(parseYamlValue(text)), sorted(value), text)
    }),
    { numRuns: 2_000 },
  )
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .map(([key, inner]) => [key, sorted(inner)])
    .sort()
}
