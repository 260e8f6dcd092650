import assert from 'node:assert/strict'
import test from 'node:test'
import { printBind } from '../../../../src/config/proxy/types.ts'
import { parseBind, parseDurationMs, parseRestOrigin } from '../../../../src/config/proxy/values.ts'

const durations: readonly (readonly [string, number | undefined])[] = [
  ['500ms', 500],
  ['10s', 10_000],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['2min', 120_000],
  ['1h', 3_600_000],
  ['0s', 0],
  ['10', undefined],
  ['-1s', undefined],
  ['s', undefined],
  ['10 seconds', undefined],
]
for (const [text, want] of durations) {
  test(`${text} lasts ${want} ms`, () => assert.equal(parseDurationMs(text), want))
}

const binds: readonly (readonly [string, string | undefined])[] = [
  ['*:5000', '*:5000'],
  [':5000', '*:5000'],
  ['10.0.0.4:5000', '10.0.0.4:5000'],
  ['[::1]:5000', '[::1]:5000'],
  ['db.example:5000', 'db.example:5000'],
  ['5000', undefined],
  ['*:70000', undefined],
  ['::1:5000', undefined],
  ['a b:1', undefined],
]
for (const [text, want] of binds) {
  test(`${text} is the address ${want}`, () => {
    const bind = parseBind(text)
    assert.equal(bind === undefined ? undefined : printBind(bind), want)
  })
}

const origins: readonly (readonly [string, string | undefined])[] = [
  ['10.0.0.1:8008', 'http://10.0.0.1:8008'],
  ['10.0.0.1', 'http://10.0.0.1:8008'],
  ['http://pg1:80', 'http://pg1:80'],
  ['https://pg1/patroni', 'https://pg1:8008'],
  ['http://[::1]:8008/', 'http://[::1]:8008'],
  ['ftp://pg1', undefined],
  ['http://pg1/other', undefined],
  ['', undefined],
]
for (const [text, want] of origins) {
  test(`${JSON.stringify(text)} is the REST server ${want}`, () => assert.equal(parseRestOrigin(text), want))
}
