import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { isHaproxyText, parseHaproxy } from '../../../../src/config/haproxy/load.ts'
import { distanceOf, nearestName } from '../../../../src/config/haproxy/nearest.ts'
import { UserError } from '../../../../src/platform/errors.ts'

test('a swap of neighbours is one change, and so are one letter more, less or other', () => {
  assert.deepEqual(
    [
      distanceOf('maxcnon', 'maxconn'),
      distanceOf('bind', 'binds'),
      distanceOf('mode', 'node'),
      distanceOf('a', 'a'),
    ],
    [1, 1, 1, 0],
  )
})

test('what is too far from every name is not guessed', () => {
  assert.equal(nearestName('zzzzzz', ['bind', 'balance']), undefined)
})

test('for any text the reader of haproxy.cfg throws nothing but a mistake of the operator', () => {
  const words = fc.constantFrom(
    'listen',
    'a',
    'bind',
    '*:1',
    'server',
    'b',
    '10.0.0.1:2',
    'check',
    'inter',
    '3s',
    'option',
    'httpchk',
    '"',
    "'",
    '\\',
    '#',
    '\n',
    ' ',
    'default-server',
    'track',
    'a/b',
    'timeout',
    'acl',
    'src',
    '10.0.0.0/33',
  )
  fc.assert(
    fc.property(fc.array(words, { maxLength: 40 }), parts => {
      const text = parts.join(' ')
      isHaproxyText(text)
      try {
        parseHaproxy(text, 'f', { lenient: true })
      } catch (error) {
        assert.ok(error instanceof UserError, String(error))
      }
    }),
    { numRuns: 500 },
  )
})
