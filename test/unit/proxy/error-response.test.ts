import assert from 'node:assert/strict'
import test from 'node:test'
import { Parser } from 'pg-protocol/dist/parser.js'
import { printFatal, sqlState } from '../../../src/proxy/error-response.ts'

function parse(bytes: Buffer): Record<string, unknown> {
  const seen: unknown[] = []
  new Parser().parse(bytes, message => void seen.push(message))
  assert.equal(seen.length, 1)
  return { ...(seen[0] as Error), message: (seen[0] as Error).message }
}

test('drivers read our error as any other of PostgreSQL', () => {
  const error = parse(
    printFatal({ code: sqlState.cannotConnectNow, message: 'no server', detail: 'why not', hint: 'wait' }),
  )
  assert.equal(error['code'], '57P03')
  assert.equal(error['severity'], 'FATAL')
  assert.equal(error['message'], 'no server')
  assert.equal(error['detail'], 'why not')
  assert.equal(error['hint'], 'wait')
})

test('a zero byte in a text cannot end a field early', () => {
  const error = parse(printFatal({ code: sqlState.adminShutdown, message: 'a\0Cxxxxx' }))
  assert.equal(error['message'], 'a Cxxxxx')
  assert.equal(error['code'], '57P01')
})
