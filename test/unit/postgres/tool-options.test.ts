import assert from 'node:assert/strict'
import test from 'node:test'
import type { ToolOption } from '../../../src/config/agent/types.ts'
import {
  initdbDefaults,
  optionArguments,
  optionList,
  splitRefused,
} from '../../../src/postgres/tool-options.ts'

const rows: readonly (readonly [string, readonly ToolOption[], readonly string[]])[] = [
  ['nothing', [], ['--data-checksums', '--encoding=UTF8', '--locale=C.UTF-8']],
  ['checksums', ['data-checksums'], ['--encoding=UTF8', '--locale=C.UTF-8']],
  ['no checksums', ['no-data-checksums'], ['--encoding=UTF8', '--locale=C.UTF-8']],
  ['UTF8', [{ encoding: 'UTF8' }], ['--data-checksums', '--locale=C.UTF-8']],
  ['another encoding', [{ encoding: 'LATIN1' }], ['--data-checksums']],
  ['a locale', [{ locale: 'C' }], ['--data-checksums']],
  ['one category', [{ 'lc-ctype': 'zh_CN.UTF-8' }], ['--data-checksums']],
  ['an ICU provider', [{ 'locale-provider': 'icu', 'icu-locale': 'de' }], ['--data-checksums']],
]
for (const [what, options, want] of rows) {
  test(`initdb that is told ${what} gets ${want.join(' ')} from us`, () => {
    assert.deepEqual(initdbDefaults(optionList(options)), want)
  })
}

test('options come as names, as pairs and as maps, with any dashes', () => {
  const options = optionList([
    'data-checksums',
    { encoding: 'UTF8', '--lc_collate': 'C' },
    { 'no-clean': 'true', x: 'false' },
  ])
  assert.deepEqual(optionArguments(options), [
    '--data-checksums',
    '--encoding=UTF8',
    '--lc-collate=C',
    '--no-clean',
  ])
})

test('refused options are told by name and left out', () => {
  const { allowed, refused } = splitRefused(optionList(['--pgdata', { checkpoint: 'fast' }]), ['pgdata'])
  assert.deepEqual([optionArguments(allowed), refused], [['--checkpoint=fast'], ['pgdata']])
})
