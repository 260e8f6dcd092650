import assert from 'node:assert/strict'
import test from 'node:test'
import { printInstant } from '../../../src/cluster/instant.ts'

test('a zone is printed with its sign', () => {
  assert.equal(printInstant(Date.parse('2030-01-01T10:00:00Z'), 0), '2030-01-01T10:00:00+00:00')
  assert.equal(printInstant(Date.parse('2030-01-01T10:00:00Z'), -330), '2030-01-01T04:30:00-05:30')
})
