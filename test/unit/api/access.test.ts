// The comparison of accounts must not tell by its time which guess came close.

import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import test, { type TestContext } from 'node:test'
import { AccessRules } from '../../../src/api/access.ts'
import type { RestConfig } from '../../../src/config/agent/types.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** What is compared by the function of constant time: the length of each pair. */
function watchComparisons(t: TestContext): number[] {
  const lengths: number[] = []
  const real = crypto.timingSafeEqual
  crypto.timingSafeEqual = (one, other) => {
    lengths.push(one.byteLength, other.byteLength)
    return real(one, other)
  }
  syncBuiltinESMExports()
  t.after(() => {
    crypto.timingSafeEqual = real
    syncBuiltinESMExports()
  })
  return lengths
}

const guesses = [
  ['the right one', 'admin:right password', true],
  ['wrong from the first byte on', 'xdmin:right password', false],
  ['wrong in the last byte', 'admin:right passwore', false],
  ['too short', 'admin:right', false],
  ['too long', 'admin:right password and more', false],
  ['nothing', '', false],
] as const

for (const [what, guess, isRight] of guesses) {
  test(`accounts are compared in constant time: ${what}`, async t => {
    const lengths = watchComparisons(t)
    const rest = {
      allowlist: [],
      allowlistIncludesMembers: false,
      tls: undefined,
      authentication: { username: 'admin', password: 'right password' },
      readOnly: { username: 'reader', password: 'other' },
    } as unknown as RestConfig
    const rules = new AccessRules(rest, new FakeClock())
    const authorization = `Basic ${Buffer.from(guess).toString('base64')}`
    const caller = { address: '10.0.0.1', authorization, hasCertificate: false }
    assert.equal(rules.judgeRead(caller) === undefined, isRight)
    // Both accounts, each as a digest, wherever the first difference is.
    assert.deepEqual(lengths, [32, 32, 32, 32])
    assert.equal('user' in (await rules.judgeChange(caller, undefined)), isRight)
  })
}
