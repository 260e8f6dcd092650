import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test from 'node:test'
import { ctlCommand } from '../../../src/commands/ctl.ts'
import { completionScript } from '../../../src/commands/ctl-completion.ts'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { printEvents, readEvents } from '../../../src/ctl/events.ts'
import { bytesText, explain, ifLeaderDied, stateSentences } from '../../../src/ctl/explain.ts'
import { overdraw, printFrame } from '../../../src/ctl/top.ts'
import { threeMembers, viewOf } from '../../support/agent-status.ts'
import { ctlScene } from '../../support/ctl-scene.ts'

const MB = 1024 * 1024
const end = 100 * MB
function member(position: number, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    conn_url: 'postgres://10.0.0.9:5432/postgres',
    api_url: 'http://10.0.0.9:8008/patroni',
    state: 'running',
    role: 'replica',
    replication_state: 'streaming',
    xlog_location: position,
    ...more,
  })
}
const config = (more: Parameters<typeof dynamicConfig>[0] = {}) => dynamicConfig({ ttl: 30, ...more }, true)
const view = (changes: Readonly<Record<string, string>>) =>
  viewOf({
    ...threeMembers,
    status: JSON.stringify({ optime: end }),
    'members/pg1': member(end, { role: 'primary', replication_state: undefined, timeline: 3 }),
    'members/pg2': member(end),
    'members/pg3': member(end - 48 * MB),
    ...changes,
  })

const verdicts: readonly (readonly [
  string,
  Readonly<Record<string, string>>,
  Parameters<typeof dynamicConfig>[0],
  RegExp,
])[] = [
  [
    'the synchronous one leads without a loss, the one that is too far behind does not',
    { sync: '{"leader":"pg1","sync_standby":"pg2"}' },
    {},
    /^If pg1 died now: pg2 would lead in at most about 31 s, 0 bytes lost \(sync\); pg3 would not: it is no synchronous standby\.$/,
  ],
  [
    'an asynchronous one leads with a warning, another is too far behind',
    {},
    {},
    /^If pg1 died now: pg2 would lead in at most about 31 s, nothing lost that is known \(asynchronous: .*\); pg3 would not: 48 MB behind\.$/,
  ],
  [
    'nobody can',
    {
      'members/pg2': member(end, { tags: { nofailover: true } }),
      'members/pg3': member(end, { state: 'stopped' }),
    },
    {},
    /^If pg1 died now: nobody could take over; pg2 would not: it is tagged so that it never leads; pg3 would not: its server is stopped\.$/,
  ],
  ['paused', {}, { pause: true }, /^If pg1 died now: nobody would take over, the cluster is paused\.$/],
  [
    'two that are as good as each other',
    { 'members/pg3': member(end) },
    {},
    /pg2 would lead .*; pg3 could, too: as far as the first\.$/,
  ],
]
for (const [what, changes, dynamic, expected] of verdicts) {
  test(`explain: ${what}`, () => {
    assert.match(ifLeaderDied(view(changes), config(dynamic)).join('\n'), expected)
  })
}

test('explain says why nobody leads, what is asked for, who waits for a restart and who does not stream', () => {
  const { leader: _leader, ...leaderless } = threeMembers
  assert.match(
    stateSentences(viewOf(leaderless), config()).join(' '),
    /Nobody leads: pg1, pg2 may lead and should take over soon\./,
  )
  const sentences = stateSentences(
    view({
      failover: '{"leader":"pg1","scheduled_at":"2037-01-01T10:00:00+00:00"}',
      'members/pg2': member(end, { pending_restart: true }),
      'members/pg3': member(end, { replication_state: undefined }),
    }),
    config(),
  )
  assert.deepEqual(sentences, [
    'pg1 leads, on timeline 3.',
    'A switchover to the best candidate is asked for, at 2037-01-01T10:00:00+00:00.',
    'pg2 needs a restart for changed settings.',
    'pg3 runs, but does not stream from anybody.',
  ])
})

test('explain adds what each member says of itself, and who does not answer', async () => {
  const { context, terminal } = await ctlScene([], ({ url }) => {
    if (url.includes('10.0.0.3')) throw new Error('no route')
    return { code: 200, text: '{"role":"replica","state":"running","pgherd":{"says":"no action"}}' }
  })
  await explain(context, undefined)
  assert.match(
    terminal.printed,
    /^pg2: replica, running; no action\npg3: does not answer; its key says replica, starting$/m,
  )
})

test('sizes are told in whole units', () => {
  assert.deepEqual([17n, 2048n, 50n * 1048576n].map(bytesText), ['17 bytes', '2 KB', '50 MB'])
})

test('events of members and proxies are read, and printed in every format', () => {
  const told = readEvents(
    [
      { time: '2026-11-25T10:00:00.500Z', source: 'pg1', kind: 'promoted', says: 'promoted in 0.2 s' },
      'junk',
      { time: 'x' },
    ],
    'proxy1',
  )
  assert.equal(told?.length, 1)
  assert.equal(readEvents({}), undefined)
  assert.match(printEvents(told ?? [], 'pretty'), /\| pg1 +\| promoted \| promoted in 0\.2 s \|/)
  assert.match(
    printEvents(told ?? [], 'tsv'),
    /^Time\tSource\tKind\tEvent\n.*\tpg1\tpromoted\tpromoted in 0\.2 s\n$/,
  )
  assert.deepEqual(JSON.parse(printEvents(told ?? [], 'json'))[0].kind, 'promoted')
})

test('a frame of top shows members, proxies with their sessions, and events; a proxy that is silent is named', () => {
  const status = {
    write: { member: 'pg1', takes_new: true },
    reads: ['pg2', 'pg3'],
    listeners: [
      { name: 'write', bind: '*:5000', pool: 'leader', sessions: 12, held: 1 },
      { name: 'read', bind: '*:6000', pool: 'replica', sessions: 30, held: 0 },
    ],
  }
  const text = printFrame(
    '2026-11-25 10:00:00',
    'main',
    view({}),
    [
      { name: 'proxy1', admin: 'proxy1:7000', status },
      { name: 'proxy2', admin: 'proxy2:7000', status: undefined },
    ],
    readEvents([{ time: '2026-11-25T10:00:00Z', source: 'pg1', kind: 'x', says: 'it happened' }]) ?? [],
  )
  assert.match(text, /^2026-11-25 10:00:00 {2}main: pg1 leads\n\+ Cluster: main /)
  assert.match(text, /\| proxy1 \| write \*:5000 +\| leader +\| pg1 +\| +12 \| +1 \|/)
  assert.match(text, /\| +\| read \*:6000 +\| replica +\| pg2, pg3 +\| +30 \| +0 \|/)
  assert.match(text, /\| proxy2 \| does not answer at proxy2:7000/)
  assert.match(text, /Last events\n.* pg1 it happened\n$/)
})

test('a frame is drawn over the one before: no line is wider than the screen, none is left below, nothing is cleared at once', () => {
  const csi = String.fromCharCode(27)
  const drawn = overdraw(`${'x'.repeat(100)}\nb\nc\nd\n`, { columns: 10, rows: 4 })
  assert.equal(drawn, `${csi}[H${'x'.repeat(10)}${csi}[K\r\nb${csi}[K\r\nc${csi}[K\r\n${csi}[J`)
})

test('the completion of bash knows commands, their options and their fixed words', () => {
  const script = completionScript(ctlCommand(), 'bash', 'pgherdctl')
  const complete = (words: readonly string[]) =>
    execFileSync('bash', [
      '-c',
      `${script}\nCOMP_WORDS=(${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _pgherdctl; echo "\${COMPREPLY[@]}"`,
    ])
      .toString()
      .trim()
      .split(' ')
  assert.deepEqual(complete(['pgherdctl', 'swi']), ['switchover'])
  assert.deepEqual(complete(['pgherdctl', '-c', 'file', 'restart', 'main', '--pe']), ['--pending'])
  assert.ok(complete(['pgherdctl', 'list', '-f', 'y']).includes('yaml'))
  assert.ok(complete(['pgherdctl', '--st']).includes('--strict'))
  assert.deepEqual(complete(['pgherdctl', 'proxy', 'ev']), ['evidence'])
  assert.deepEqual(complete(['pgherdctl', 'proxy', 'explain', 'pg1', '--at']), ['--at'])
})

test('the completion of zsh names every command', () => {
  const script = completionScript(ctlCommand(), 'zsh', 'pgherdctl')
  const ctl = ctlCommand()
  for (const command of ctl
    .createHelp()
    .visibleCommands(ctl)
    .filter(shown => shown.name() !== 'help'))
    assert.ok(script.includes(`'${command.name()}:`), command.name())
})
