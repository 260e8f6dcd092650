import assert from 'node:assert/strict'
import test from 'node:test'
import { HaError } from '../../../src/platform/errors.ts'
import { isLasting } from '../../../src/postgres/divergence.ts'

const withCode = (code: string, message = 'x') => Object.assign(new Error(message), { code })

const answers: readonly (readonly [string, Error, boolean])[] = [
  ['a refused password', withCode('28P01'), true],
  ['a function that is not granted', withCode('42501'), true],
  [
    'a password that is asked for and not configured',
    new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a non-empty string'),
    true,
  ],
  ['a certificate of nobody that we trust', withCode('SELF_SIGNED_CERT_IN_CHAIN'), true],
  ['a certificate that is over', withCode('CERT_HAS_EXPIRED'), true],
  ['a certificate for another name', withCode('ERR_TLS_CERT_ALTNAME_INVALID'), true],
  ['a server without TLS', new Error('The server does not support SSL connections'), true],
  [
    'a server that binds no channel',
    new Error('channel_binding=require, but the server authenticates without it'),
    true,
  ],
  [
    'a certificate file of ours that is missing',
    withCode('ENOENT', "ENOENT: no such file, open '/ca'"),
    true,
  ],
  ['a history file that is missing', new HaError('E_HISTORY', 'x'), true],
  ['too many sessions', withCode('53300'), false],
  ['a server that shuts down', withCode('57P03'), false],
  ['nobody at the port', withCode('ECONNREFUSED'), false],
  ['no answer', new Error('timeout expired'), false],
]
for (const [what, error, want] of answers) {
  test(`a comparison that failed would fail again: ${what}: ${want ? 'yes' : 'no'}`, () =>
    assert.equal(isLasting(error), want))
}
