import assert from 'node:assert/strict'
import test from 'node:test'
import { formatLsn, parseLsn } from '../../../src/cluster/lsn.ts'

const positions: readonly (readonly [string, bigint])[] = [
  ['0/0', 0n],
  ['0/3000060', 0x3000060n],
  ['16/B374D848', 0x16b374d848n],
  ['FFFFFFFF/FFFFFFFF', 0xffffffffffffffffn],
]
for (const [text, lsn] of positions) {
  test(`${text} is byte ${lsn}, both ways`, () => {
    assert.equal(parseLsn(text), lsn)
    assert.equal(formatLsn(lsn), text)
  })
}

test('small letters and leading zeros are read, and printed as PostgreSQL does', () => {
  assert.equal(formatLsn(parseLsn('00000016/b374d848') ?? 0n), '16/B374D848')
})

for (const text of ['', '0', '/', '0/', '/0', '0/0/0', 'G/0', '123456789/0', ' 0/0', '0/0\n']) {
  test(`${JSON.stringify(text)} is no position`, () => {
    assert.equal(parseLsn(text), undefined)
  })
}
