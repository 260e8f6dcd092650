// Who keeps sessions when a server leaves its section: Debian's HAProxy and our proxy with one file, in front of the same
// played servers.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Watched } from '../integration/proxy-wire.ts'
import { Differential, enter, playedAddress, reaches, serverOf, settled } from '../support/differential.ts'

/** Many checks' time: what has not happened by then does not happen. */
const STILL_MS = 800

function server(number: number, more = ''): string {
  return `  server pg${number} ${playedAddress(number)}:5432 check port 8008 ${more}\n`
}

function listen(port: number, path: string, lines: string): string {
  return `listen s${port}\n  bind *:${port}\n  option httpchk GET ${path}\n${lines}`
}

const CUT = '  default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions\n'
const KEEP = '  default-server inter 200ms fall 2 rise 1\n'
const RELIEVE = 'on-marked-up shutdown-backup-sessions'

const stand = await Differential.create({ after })
const [pg1, pg2] = await stand.play(2)
assert.ok(pg1 && pg2)
const { sides: both } = await stand.startWith(
  `defaults
  mode tcp
  timeout connect 2s
  timeout client 5m
  timeout server 5m
${listen(5000, '/primary', `${CUT}  http-check disable-on-404\n${server(1)}${server(2)}`)}
${listen(6001, '/backup', CUT + server(1, 'backup') + server(2))}
${listen(6002, '/backup', CUT + server(1, 'backup') + server(2, RELIEVE))}
${listen(6003, '/drain', `${CUT}  http-check disable-on-404\n${server(1)}${server(2)}`)}
${listen(6004, '/down', KEEP + server(1) + server(2))}
listen s6006
  bind *:6006
  option httpchk GET /fine
  retries 1
${KEEP}${server(1)}${server(2)}
listen s6005
  bind *:6005
  option httpchk GET /drain
${CUT}  server pg2 ${playedAddress(2)}:5432 check port 8008
  server pg1 ${playedAddress(1)}:5432 track s6004/pg1 backup
listen page
  mode http
  bind *:7000
  stats enable
  stats uri /
  stats auth admin:secret
listen outside
  mode http
  bind *:7001
  tcp-request connection reject unless { src 192.0.2.0/24 }
  stats enable
  stats uri /
`,
)

/** What the REST server of each answers on a path, from now on. */
function say(path: string, one: number, two: number): void {
  Object.assign(pg1?.script.codes ?? {}, { [path]: one })
  Object.assign(pg2?.script.codes ?? {}, { [path]: two })
}

say('/primary', 200, 503)
say('/backup', 200, 200)
say('/drain', 200, 200)
say('/down', 200, 200)
say('/fine', 200, 200)

/** A session of each side on this server. */
async function sessionsOn(port: number, name: string): Promise<readonly Watched[]> {
  const clients: Watched[] = []
  for (const side of both) {
    await settled(side, port, name)
    const client = await enter(side, port)
    await client.untilText('server\0')
    assert.equal(serverOf(client), name, side.name)
    clients.push(client)
  }
  return clients
}

/** Nothing happens to them for a while. */
async function stay(clients: readonly Watched[]): Promise<void> {
  await sleep(STILL_MS)
  assert.deepEqual(
    clients.map(({ ends }) => ends),
    [0, 0],
  )
}

async function end(clients: readonly Watched[]): Promise<void> {
  for (const client of clients) {
    await client.untilEnd()
    client.socket.destroy()
  }
}

test('sessions on a backup stay when a server is back, and end when the backup is down: no difference', async () => {
  say('/backup', 200, 503)
  const clients = await sessionsOn(6001, 'pg1')
  say('/backup', 200, 200)
  for (const side of both) await settled(side, 6001, 'pg2')
  await stay(clients)
  say('/backup', 503, 200)
  await end(clients)
})

test('on-marked-up shutdown-backup-sessions ends them when the server is back: no difference', async () => {
  say('/backup', 200, 503)
  const clients = await sessionsOn(6002, 'pg1')
  say('/backup', 200, 200)
  await end(clients)
  for (const side of both) await settled(side, 6002, 'pg2')
})

test('code 404 under disable-on-404 keeps the sessions and sends no new ones: no difference', async () => {
  say('/drain', 200, 503)
  const clients = await sessionsOn(6003, 'pg1')
  say('/drain', 404, 200)
  for (const side of both) await settled(side, 6003, 'pg2')
  await stay(clients)
  say('/drain', 503, 200)
  await end(clients)
  say('/drain', 404, 200)
  await sleep(STILL_MS)
  assert.deepEqual([await reaches(both[0], 6003), await reaches(both[1], 6003)], ['pg2', 'pg2'])
})

test('code 404 in the section of the leader keeps its sessions, and makes nobody the leader: no difference', async () => {
  const clients = await sessionsOn(5000, 'pg1')
  say('/primary', 404, 404)
  for (const side of both) await settled(side, 5000, 'closed')
  await stay(clients)
  say('/primary', 503, 404)
  await end(clients)
  await sleep(STILL_MS)
  assert.deepEqual([await reaches(both[0], 5000), await reaches(both[1], 5000)], ['closed', 'closed'])
  say('/primary', 200, 503)
  for (const side of both) await settled(side, 5000, 'pg1')
})

test('without on-marked-down sessions stay on a server that is down: no difference', async () => {
  say('/down', 200, 503)
  const clients = await sessionsOn(6004, 'pg1')
  say('/down', 503, 200)
  for (const side of both) await settled(side, 6004, 'pg2')
  await stay(clients)
  for (const { socket } of clients) socket.destroy()
})

test('a backup that tracks the check of another section comes in with it: no difference', async () => {
  say('/drain', 200, 200)
  for (const side of both) await settled(side, 6005, 'pg2')
  say('/down', 200, 200)
  say('/drain', 503, 503)
  for (const side of both) await settled(side, 6005, 'pg1')
  say('/down', 503, 200)
  for (const side of both) await settled(side, 6005, 'closed')
})

test('the status page asks for the password of stats auth: no difference', async () => {
  const ask = async (address: string, user: string | undefined) => {
    const headers =
      user === undefined ? {} : { authorization: `Basic ${Buffer.from(user).toString('base64')}` }
    const answer = await fetch(`http://${address}:7000/`, { headers, signal: AbortSignal.timeout(5000) })
    await answer.text()
    return [answer.status, answer.headers.get('www-authenticate')]
  }
  for (const { host, name } of both) {
    const seen = [
      await ask(host.address, undefined),
      await ask(host.address, 'admin:wrong'),
      await ask(host.address, 'admin:secret'),
    ]
    const challenge = 'Basic realm="HAProxy Statistics"'
    assert.deepEqual(
      seen,
      [
        [401, challenge],
        [401, challenge],
        [200, null],
      ],
      name,
    )
  }
})

test('a status page that a source may not reach is closed to it: no difference', async () => {
  for (const { host } of both)
    await assert.rejects(fetch(`http://${host.address}:7001/`, { signal: AbortSignal.timeout(5000) }))
})

test('a server that refuses while its check is good: HAProxy closes its clients, ours takes them to the other', async () => {
  for (const side of both) await settled(side, 6006, 'pg1', 'pg2')
  await pg2.refuse()
  const [theirs, ours] = await Promise.all(
    both.map(async side => {
      const seen: string[] = []
      for (let turn = 0; turn < 4; turn += 1) seen.push(await reaches(side, 6006, 4000))
      return seen
    }),
  )
  await pg2.accept()
  assert.deepEqual(theirs?.toSorted(), ['closed', 'closed', 'pg1', 'pg1'])
  assert.deepEqual(ours, ['pg1', 'pg1', 'pg1', 'pg1'])
})
