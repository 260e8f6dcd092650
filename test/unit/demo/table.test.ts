// The demo's screen as text, reviewed in test/fixtures/snapshots/demo.

import test from 'node:test'
import type { MemberPicture, Picture } from '../../../src/demo/show/picture.ts'
import { draw } from '../../../src/demo/show/table.ts'
import { paint } from '../../../src/demo/show/text.ts'
import { matchSnapshot } from '../../support/snapshot.ts'

const standby: MemberPicture = {
  name: 'pg2',
  address: '127.0.10.12:5432',
  pulse: 'up',
  role: 'replica',
  state: 'streaming',
  timeline: 3,
  lagBytes: 0,
  leaseLeftMs: undefined,
}

const picture: Picture = {
  upMs: 65_000,
  ttlSeconds: 5,
  members: [
    {
      ...standby,
      name: 'pg1',
      address: '127.0.10.11:5432',
      role: 'leader',
      state: 'running',
      leaseLeftMs: 4_200,
    },
    standby,
    { ...standby, name: 'pg3', address: '127.0.10.13:5432', pulse: 'unguarded', lagBytes: 2_400_000 },
  ],
  proxies: [
    {
      ...{ name: 'proxy1', isUp: true, address: '127.0.10.21', writePort: 5000, readPort: 6000 },
      ...{ leader: 'pg1', writeSessions: 4, readSessions: 2, held: 0, waitingBecause: undefined },
    },
    {
      ...{ name: 'proxy2', isUp: true, address: '127.0.10.22', writePort: 5000, readPort: 6000 },
      ...{ leader: undefined, writeSessions: 0, readSessions: 1, held: 12 },
      waitingBecause: 'cluster pgsql has no leader for 1.2 s',
    },
  ],
  load: {
    ratePerSecond: 120,
    acknowledged: 6_543,
    longestGapMs: 1_230,
    samples: [10, 12, 11, 0, 0, 12, 13],
    answers: ['pg2', 'pg3', 'pg2'],
  },
  story: [
    { time: '12:00:01', says: 'failover to timeline 3: pg2 -> pg1 in 1.23 s; 4 sessions cut, 12 held' },
  ],
  busy: undefined,
  showsHelp: false,
  commands: [
    { what: 'write', line: 'PGPASSWORD=demo psql -h 127.0.10.21 -p 5000 -U postgres' },
    { what: 'read', line: 'PGPASSWORD=demo psql -h 127.0.10.21 -p 6000 -U postgres' },
    { what: 'status', line: 'http://127.0.10.21:7000/  http://127.0.10.22:7000/' },
  ],
}

function text(shown: Picture, isUnicode: boolean): string {
  const lines = draw(shown, { columns: 100, rows: 32, isUnicode })
  return lines.map(line => paint(line, false).trimEnd()).join('\n')
}

test('the screen has the members, the proxies, the clients, the story, how to connect and the status addresses', () =>
  matchSnapshot('demo/screen', text(picture, true)))

test('without Unicode it says the same, and the help tells the keys', () =>
  matchSnapshot('demo/screen-ascii-help', text({ ...picture, showsHelp: true }, false)))
