import assert from 'node:assert/strict'
import test from 'node:test'
import {
  asBigint,
  asInteger,
  asText,
  type Json,
  parseJson,
  parseJsonObject,
  printJson,
} from '../../../src/cluster/json.ts'
import { printSpacedJson } from '../../../src/cluster/spaced-json.ts'

const kept: readonly (readonly [string, string])[] = [
  ['{"a":1,"b":[true,null,"x"]}', 'plain values'],
  ['18446744073709551615', 'a number beyond 64 bits signed'],
  ['{"slots":{"pg2":9007199254740993}}', 'a position beyond 2^53'],
  ['-9223372036854775808', 'a negative one'],
  ['{"ratio":0.5}', 'a fraction'],
  ['{"__proto__":1}', 'a key with a meaning of its own'],
]
for (const [text, what] of kept) {
  test(`JSON keeps ${what}: ${text}`, () => {
    const value = parseJson(text)
    assert.ok(value !== undefined)
    assert.equal(printJson(value), text)
  })
}

for (const text of ['', 'x', '{', '[1,]', "{'a':1}", 'NaN', '\u0000']) {
  test(`${JSON.stringify(text)} is no JSON and no error`, () => {
    assert.equal(parseJson(text), undefined)
  })
}

for (const text of ['[]', '1', 'null', '"x"', 'true']) {
  test(`${text} is JSON and no object`, () => {
    assert.equal(parseJsonObject(text), undefined)
  })
}

const whole: readonly (readonly [Json | undefined, bigint | undefined, number | undefined])[] = [
  [5, 5n, 5],
  ['5', 5n, 5],
  ['-5', -5n, -5],
  [9007199254740993n, 9007199254740993n, undefined],
  ['9007199254740993', 9007199254740993n, undefined],
  [5.5, undefined, undefined],
  ['5.5', undefined, undefined],
  ['', undefined, undefined],
  ['0x10', undefined, undefined],
  [' 5', undefined, undefined],
  [null, undefined, undefined],
  [true, undefined, undefined],
  [[5], undefined, undefined],
  [undefined, undefined, undefined],
]
for (const [value, big, integer] of whole) {
  test(`${typeof value} ${String(value)} as a whole number is ${big}, within a JavaScript number ${integer}`, () => {
    assert.equal(asBigint(value), big)
    assert.equal(asInteger(value), integer)
  })
}

test('only text is text', () => {
  assert.equal(asText('x'), 'x')
  for (const value of [1, 1n, true, null, [], {}, undefined]) assert.equal(asText(value), undefined)
})

test('the spaced form is the one that scripts grep for', () => {
  const value = { state: 'running', timeline: 3, lsn: 67108864n, tags: { a: [1, 2] }, city: 'Köln \u{1f418}' }
  assert.equal(
    printSpacedJson(value),
    '{"state": "running", "timeline": 3, "lsn": 67108864, "tags": {"a": [1, 2]}, "city": "K\\u00f6ln \\ud83d\\udc18"}',
  )
})

test('text that is nested too deep for its reader is no JSON, brackets in strings do no harm', () => {
  const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
  assert.equal(parseJson(deep(50_000)), undefined)
  assert.equal(printJson(parseJson(deep(900)) ?? null), deep(900))
  assert.equal(parseJson(JSON.stringify('['.repeat(20_000))), '['.repeat(20_000))
})
