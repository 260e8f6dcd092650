// What check scripts mean, as people write them.

import assert from 'node:assert/strict'
import test from 'node:test'
import { splitWords, understandCheck } from '../../../../src/config/keepalived/check-command.ts'

const seed = `/usr/bin/curl -s http://127.0.0.1:8008/leader -v 2>&1|grep '200 OK' >/dev/null`

/** Script, what it means in short, and whether keepalived 2 does something else with it. */
const rows: readonly (readonly [string, string, boolean])[] = [
  [seed, 'GET http://127.0.0.1:8008/leader 200', true],
  ['curl -sf http://localhost:8008/primary', 'GET http://localhost:8008/primary below-400', false],
  ['curl -s http://h:8008/primary', 'GET http://h:8008/primary any', true],
  ['curl -fsS -m 2 -o /dev/null h:8008/replica', 'GET http://h:8008/replica below-400', false],
  [`curl -s -o /dev/null -w '%{http_code}' http://h:8008/ | grep -q 200`, 'GET http://h:8008/ 200', true],
  ['curl -X OPTIONS -sf http://h:8008/', 'OPTIONS http://h:8008/ below-400', false],
  ['curl -I -s http://h/x | grep "HTTP/1.1 200"', 'HEAD http://h/x 200', true],
  [
    'curl -sk https://h:8008/health | grep running',
    'GET https://h:8008/health any “running” unverified',
    true,
  ],
  [`/bin/sh -c 'curl -s h:8008/leader | grep "200 OK"'`, 'GET http://h:8008/leader 200', false],
  ['killall -0 haproxy', 'self haproxy', false],
  ['/usr/bin/killall -0 haproxy', 'self haproxy', false],
  ['pgrep -x haproxy', 'self haproxy', false],
  ['pidof haproxy', 'self haproxy', false],
  ['pgrep haproxy > /dev/null', 'self haproxy', true],
  ['killall -0 postgres', 'process postgres', false],
  ['pgrep postgres', 'process postgres…', false],
  ['kill -0 $(cat /run/haproxy.pid)', 'pid-file /run/haproxy.pid', true],
  ['killall haproxy', 'command killall,haproxy', false],
  ['pgrep -f patroni', 'command pgrep,-f,patroni', false],
  ['/usr/local/bin/check.sh 5000 "a b"', 'command /usr/local/bin/check.sh,5000,a b', false],
  ['test -e /a && test -e /b', 'shell test -e /a && test -e /b', true],
  ['curl -s h/x | grep "a.*b"', 'shell curl -s h/x | grep "a.*b"', true],
  ['curl -d data h/x', 'command curl,-d,data,h/x', false],
  [`sh -c 'exit 3'`, 'shell exit 3', false],
]
for (const [script, want, isTrap] of rows) {
  test(`${script} means: ${want}`, () => {
    const understood = understandCheck(script, ['haproxy'])
    assert.equal(printed(understood.question), want)
    assert.equal(understood.isTrap, isTrap)
  })
}

test('what became of the seed’s check is told in one line', () => {
  const { says } = understandCheck(seed, [])
  assert.equal(says, 'is asked directly: good while http://127.0.0.1:8008/leader answers 200')
})

test('words are split as a shell splits them', () => {
  assert.deepEqual(splitWords(`a  "b c" 'd "e' f\\ g ""`), ['a', 'b c', 'd "e', 'f g', ''])
  assert.equal(splitWords('a "b'), undefined)
})

function printed(question: ReturnType<typeof understandCheck>['question']): string {
  switch (question.kind) {
    case 'http': {
      const { method, url, statuses, contains, verifies } = question
      const found = contains === undefined ? '' : ` “${contains}”`
      return `${method} ${url} ${statuses ?? 'any'}${found}${verifies ? '' : ' unverified'}`
    }
    case 'process':
      return `${question.isSelf ? 'self' : 'process'} ${question.name}${question.isPart && !question.isSelf ? '…' : ''}`
    case 'pid-file':
      return `pid-file ${question.file}`
    case 'command':
      return `command ${question.words.join()}`
    case 'shell':
      return `shell ${question.text}`
  }
}
