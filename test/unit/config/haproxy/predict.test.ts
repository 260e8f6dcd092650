import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { parseHaproxy } from '../../../../src/config/haproxy/load.ts'
import {
  type AgentTimes,
  agentDefaults,
  predict,
  printSpan,
  twoWriters,
} from '../../../../src/config/haproxy/predict.ts'
import { findTraps } from '../../../../src/config/haproxy/traps.ts'
import type { CheckSpec } from '../../../../src/config/proxy/check-types.ts'

const seed = await readFile(path.resolve(import.meta.dirname, '../../../fixtures/seed/haproxy.cfg'), 'utf8')

function specOf(text: string): CheckSpec {
  const check = parseHaproxy(text, 'h.cfg', { lenient: false }).config.listeners[0]?.servers[0]?.check
  assert.ok(check)
  return check
}

const tuned = seed.replaceAll('inter 3s fall 3 rise 2', 'inter 1s fall 2 rise 1')
const floor: AgentTimes = { ttlSeconds: 20, loopWaitSeconds: 1, retryTimeoutSeconds: 3 }

// file, agents' numbers, fault, seconds that were measured on Patroni 3.0.2 behind HAProxy 2.6
const measured: readonly (readonly [string, string, AgentTimes, string, readonly number[]])[] = [
  ['seed', seed, agentDefaults, "the leader's host dies", [31.9, 34.9, 30.8, 32.1]],
  ['seed', seed, agentDefaults, 'planned switchover', [5.0, 7.1, 5.8]],
  ['seed', seed, agentDefaults, "the leader's PostgreSQL crashes", [8.3, 10.2]],
  ['seed', seed, agentDefaults, "the leader's agent is killed", [18.6, 23.7, 25.1]],
  ['tuned', tuned, floor, "the leader's host dies", [20.6, 22.5]],
  ['tuned', tuned, floor, 'planned switchover', [2.4]],
  ['tuned', tuned, floor, "the leader's PostgreSQL crashes", [3.0, 4.6]],
  ['tuned', tuned, floor, "the leader's agent is killed", [18.4, 19.4]],
]
for (const [name, text, times, fault, seconds] of measured) {
  test(`${name}: what was measured for "${fault}" lies in what is predicted`, t => {
    const found = predict(specOf(text), times).find(one => one.fault === fault)
    assert.ok(found)
    t.diagnostic(`${printSpan(found.span)} predicted, ${seconds.join(', ')} measured`)
    for (const one of seconds) assert.ok(one >= found.span.from && one <= found.span.to, `${one} s`)
  })
}

test('two writers for 2.5 to 3.5 s with the seed’s numbers, none where rise is not less than fall', () => {
  const span = twoWriters(specOf(seed))
  assert.equal(span === undefined ? '' : printSpan(span), '2.5-3.5 s')
  assert.equal(twoWriters(specOf(seed.replaceAll('fall 3', 'fall 2'))), undefined)
})

// a part of the sentence, line in the seed's file, and a change of the file that takes the trap away
const traps: readonly (readonly [string, number, (text: string) => string])[] = [
  ['rise 2 is less than fall 3', 24, text => text.replaceAll('fall 3', 'fall 2')],
  [
    '100 connections for ports 5000, 6000, 7000 together',
    2,
    text => text.replace('maxconn 100\n', 'maxconn 5000\n'),
  ],
  ['nothing moves for 30 min', 9, text => text.replaceAll('30m', '3h')],
  [
    'found out after up to 33 s',
    12,
    text => text.replace('timeout check 5s', 'timeout check 1').replace('connect 4s', 'connect 1s'),
  ],
  ['no TCP keepalive', 20, text => text.replace('mode tcp', 'mode tcp\n    option tcpka')],
  [
    'not that its server takes connections',
    22,
    text => text.replace('option httpchk\n', 'option tcp-check\n'),
  ],
  [
    'a client beyond maxconn 100 waits 4 s',
    25,
    text => text.replace('mode tcp', 'mode tcp\n    timeout queue 9s'),
  ],
  ['add up to 200', 25, text => text.replaceAll(' maxconn 100 check', ' check')],
  ['when the last replica is gone', 31, text => text.replace('/replica', '/read-only')],
]
for (const [says, line, cure] of traps) {
  test(`the trap "${says}" is found at its line, and not where it is cured`, () => {
    const found = (text: string) => findTraps(parseHaproxy(text, 'h.cfg', { lenient: false }))
    assert.equal(found(seed).find(trap => trap.says.includes(says))?.line, line)
    const cured = cure(seed)
    assert.notEqual(cured, seed)
    assert.equal(
      found(cured).find(trap => trap.says.includes(says)),
      undefined,
    )
  })
}

test('sessions that stay on a server that is down are a trap where the file does not cut them', () => {
  const text = seed.replaceAll(' on-marked-down shutdown-sessions', '')
  const found = findTraps(parseHaproxy(text, 'h.cfg', { lenient: false }))
  assert.ok(found.some(({ line, says }) => line === 24 && says.startsWith('without on-marked-down')))
})
