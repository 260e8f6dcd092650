// The text of a keepalived.conf as statements: what keepalived forgives, and where every word stands.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { parseKeepalived } from '../../../../src/config/keepalived/load.ts'
import { readKeepalived } from '../../../../src/config/keepalived/read.ts'
import { parseStatements, type Statement } from '../../../../src/config/keepalived/tokens.ts'
import { UserError } from '../../../../src/platform/errors.ts'

/** `words { inner; inner }` */
function printed(statements: readonly Statement[]): string {
  return statements
    .map(({ words, block }) => {
      const head = words.map(({ text }) => text).join(' ')
      return block === undefined ? head : `${head} { ${printed(block)} }`
    })
    .join('; ')
}

const rows: readonly (readonly [string, string, string])[] = [
  ['a block', 'a b {\n c d\n e\n}\n', 'a b { c d; e }'],
  ['a block on one line', 'a { b c }', 'a { b c }'],
  ['a brace on the next line', 'a\n\n{\n b\n}\n', 'a { b }'],
  ['a brace without a blank', 'a b{\n c\n}', 'a b { c }'],
  ['comments of both kinds', '# no\na b # no\n! no { \nc ! no\n', 'a b; c'],
  ['quotes with blanks, braces and comments in them', 'a "b # c ! { d }" e', 'a b # c ! { d } e'],
  ['a quote of the other kind in quotes', `a "b 'c d' e"`, `a b 'c d' e`],
  ['a quote that is meant', 'a "b \\"c\\" d"', 'a b "c" d'],
  ['Windows line ends', 'a {\r\n b\r\n}\r\n', 'a { b }'],
  ['no line end at the end', 'a b', 'a b'],
  ['a variable', `$IF=eth0\ninterface $IF\nx $\{IF}.5`, 'interface eth0; x eth0.5'],
  ['a variable that nobody defined stays', 'a $B', 'a $B'],
  ['nothing', ' \n\t\n', ''],
]
for (const [what, text, want] of rows) {
  test(`${what}: ${JSON.stringify(text)}`, () => {
    const { statements, remarks } = parseStatements(text)
    assert.equal(printed(statements), want)
    assert.deepEqual(remarks, [])
  })
}

const mistakes: readonly (readonly [string, string])[] = [
  ['a {\n b\n', '1:3 this block is not closed'],
  ['a\n}\n', '2:1 there is no block to close'],
  ['{\n a\n}', '1:1 a keyword is missing before this block'],
  ['a "b\n', '1:3 a quote is not closed'],
]
for (const [text, want] of mistakes) {
  test(`${JSON.stringify(text)} is told: ${want}`, () => {
    const { remarks } = parseStatements(text)
    assert.deepEqual(
      remarks.map(({ line, column, says }) => `${line}:${column} ${says}`),
      [want],
    )
  })
}

test('every word knows its line and column', () => {
  const { statements } = parseStatements('a {\n  bc "d e"  f\n}')
  const words = statements[0]?.block?.[0]?.words ?? []
  assert.deepEqual(
    words.map(({ text, line, column, isQuoted }) => [text, line, column, isQuoted]),
    [
      ['bc', 2, 3, false],
      ['d e', 2, 6, true],
      ['f', 2, 13, false],
    ],
  )
})

test('blocks without end are refused, not followed', () => {
  const { remarks } = parseStatements('a {\n'.repeat(5000))
  assert.ok(remarks.some(({ says }) => says.includes('nested')))
})

test('any text is read without an error but those that are told by file, line and column', () => {
  const word = fc.constantFrom(
    ...[
      'vrrp_instance',
      'vrrp_script',
      'global_defs',
      'V',
      '{',
      '}',
      '\n',
      '"',
      '#',
      '$A=',
      '$A',
      'priority',
    ],
    ...[
      '300',
      'virtual_ipaddress',
      '10.0.0.1/24',
      'dev',
      'track_script',
      'weight',
      'script',
      "'",
      'authentication',
    ],
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(word, { maxLength: 60 }).map(words => words.join(' ')),
  )
  fc.assert(
    fc.property(text, one => {
      readKeepalived(one)
      try {
        parseKeepalived(one, 'k.conf', { lenient: true, selfNames: [] })
      } catch (error) {
        assert.ok(error instanceof UserError)
        for (const line of error.message.split('\n')) assert.match(line, /^k\.conf:\d+:\d+: /)
      }
    }),
    { numRuns: 2000 },
  )
})
