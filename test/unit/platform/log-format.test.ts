import assert from 'node:assert/strict'
import test from 'node:test'
import {
  compileFormat,
  compileJson,
  DEFAULT_FORMAT,
  DEFAULT_JSON_FIELDS,
  type LogRecord,
} from '../../../src/platform/log-format.ts'

const at = new Date(2026, 10, 26, 4, 5, 6, 7)
const record: LogRecord = {
  severity: 40,
  wallMs: at.getTime(),
  text: 'no action. I am (pg1), the leader with the lock',
  logger: 'pgherd.agent',
  fields: { rule: 'lead', term: 7n },
}

const formats: readonly (readonly [format: string, date: string | undefined, line: string])[] = [
  [DEFAULT_FORMAT, undefined, `2026-11-26 04:05:06,007 WARNING: ${record.text}`],
  ['%(asctime)s [%(levelname)-8s] %(message)s', '%d.%m.%y %H:%M', `26.11.26 04:05 [WARNING ] ${record.text}`],
  ['%(levelname)9s|%(levelno)03d|%(name)s', undefined, '  WARNING|030|pgherd.agent'],
  ['100%% %(process)d %(levelname).4s', undefined, `100% ${process.pid} WARN`],
  ['%(message)s', undefined, record.text],
  ['%(created)f', undefined, (at.getTime() / 1000).toFixed(6)],
  ['%(asctime)s', '%Y-%j %I%p %a %b', '2026-330 04AM Thu Nov'],
]
for (const [format, date, line] of formats) {
  test(`the format ${format}${date === undefined ? '' : ` with dates ${date}`}`, () => {
    const { print, unknown } = compileFormat(format, date)
    assert.equal(print(record), `${line}\n`)
    assert.deepEqual(unknown, [])
  })
}

test('what a format names and nobody knows is told, and prints nothing', () => {
  const { print, unknown } = compileFormat('%(asctime)s %(funcName)s|%(message)s', '%Y %Q')
  assert.deepEqual(unknown, ['%Q', '%(funcName)'])
  assert.match(print(record), /^2026 %Q \|no action/)
})

test('JSON has the fields of Patroni, then our own facts, then those that never change', () => {
  const { print } = compileJson(DEFAULT_JSON_FIELDS, undefined, { dc: 'north' })
  assert.equal(
    print(record),
    `{"asctime":"2026-11-26 04:05:06,007","levelname":"WARNING","message":"${record.text}","rule":"lead","term":"7","dc":"north"}\n`,
  )
})

test('fields of JSON may be called otherwise; one that nobody knows is null and told', () => {
  const { print, unknown } = compileJson(
    [
      ['levelname', 'severity'],
      ['lineno', 'lineno'],
    ],
    undefined,
    {},
  )
  assert.deepEqual(JSON.parse(print(record)), { severity: 'WARNING', lineno: null, rule: 'lead', term: '7' })
  assert.deepEqual(unknown, ['lineno'])
})
