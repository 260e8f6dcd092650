// Changes of leader and lost evidence, with real servers and real etcd: who is cut, who waits, who never sees an error.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { type ScriptedMember, Stand } from './proxy-rig.ts'
import { ask, dial, login, loginTls, query, sqlStateOf, startSession, type Watched } from './proxy-wire.ts'

const stand = await Stand.open(
  { after },
  {
    proxy: {
      listeners: { write: { on_no_backend: { hold: '5s', max_held: 100 } }, read: { max_connections: 3 } },
    },
  },
)
const pg1 = stand.member('pg1')
const pg2 = stand.member('pg2')

async function who(client: Watched): Promise<string | undefined> {
  return /pg\d/.exec(await query(client, 'SELECT name FROM who'))?.[0]
}

/** `count` clients made by `make`, all at the same time. */
function several(count: number, make: () => Promise<Watched>): Promise<Watched[]> {
  return Promise.all(Array.from({ length: count }, make))
}

function closeAll(clients: readonly Watched[]): void {
  for (const { socket } of clients) socket.destroy()
}

/** Waits until this many sessions of the write listener are in this state. */
function inState(state: string, count: number): Promise<boolean> {
  return waitFor(`${count} sessions ${state}`, { withinMs: 20_000, everyMs: 20 }, async note => {
    const states = (await stand.status()).listeners[0]?.states ?? {}
    note(JSON.stringify(states))
    return states[state] === count
  })
}

async function busy(sql: string): Promise<Watched> {
  const client = await login(stand.write)
  ask(client, sql)
  return client
}

async function inCopy(): Promise<Watched> {
  const client = await busy('COPY kept FROM STDIN')
  await client.untilText('G')
  return client
}

async function halfClosed(): Promise<Watched> {
  const client = await busy('SELECT pg_sleep(60)')
  client.socket.end()
  return client
}

/** Connects to a frozen server until its kernel takes no more: what connects after that stays on its way. */
async function fillBacklog(member: ScriptedMember): Promise<() => void> {
  const sockets = Array.from({ length: 600 }, () => connect({ ...member.address }))
  let connected = 0
  for (const socket of sockets) {
    socket.on('error', () => {})
    socket.once('connect', () => {
      connected += 1
    })
  }
  let before = -1
  let stillLooks = 0
  // One look alone may fall into a pause of this process, not of the kernel.
  await waitFor('a full backlog', { withinMs: 30_000, everyMs: 300 }, note => {
    note(`${connected} connected, the same at ${stillLooks} looks`)
    stillLooks = connected === before && connected > 0 ? stillLooks + 1 : 0
    before = connected
    return stillLooks === 3
  })
  assert.ok(connected < sockets.length, 'the backlog is full')
  return () => {
    for (const socket of sockets) socket.destroy()
  }
}

test('100 sessions in every state each see their end once when another takes over, those that wait see none', async t => {
  await stand.settle()
  const cut = new Map<string, readonly Watched[]>([
    ['idle', await several(20, () => login(stand.write))],
    ['in a statement', await several(15, () => busy('SELECT pg_sleep(60)'))],
    ['in COPY', await several(10, inCopy)],
    ['in TLS', await several(15, () => loginTls(stand.write))],
    ['half closed', await several(10, halfClosed)],
  ])
  await pg1.postmaster.freeze()
  t.after(() => pg1.postmaster.thaw())
  // The kernel takes their connections for the frozen server: its greeting does not come.
  cut.set('waiting for the greeting', await several(10, () => startSession(stand.write)))
  await inState('streaming', 80)
  assert.ok((await pg1.clientProcesses()).length >= 70, 'their server processes are seen')
  const emptyBacklog = await fillBacklog(pg1)
  t.after(emptyBacklog)
  const connecting = await several(10, () => startSession(stand.write))
  await inState('connecting', 10)
  const unstarted = await several(5, () => dial(stand.write))
  await stand.dropKey()
  const held = await several(5, () => startSession(stand.write))
  await inState('held', 5)
  const all = [...cut.values()].flat()
  const patient = [...connecting, ...held]
  t.after(() => closeAll([...all, ...unstarted, ...patient]))
  assert.ok(
    all.every(client => client.ends === 0),
    'nobody is cut by the deletion of the key',
  )
  for (const client of all) client.clear()

  pg2.lead(2)
  const ledAtMs = performance.now()
  await stand.lead('pg2')
  await Promise.all(all.map(client => client.untilEnd()))
  pg1.follow()
  const tookMs = Math.max(...all.map(client => client.endedAtMs)) - ledAtMs
  const cutMs = await waitFor('the line about the cut', { withinMs: 20_000 }, async () => {
    return /is retired, 80 sessions cut in (\d+) ms: pg2 took over/.exec(await stand.log())?.[1]
  })
  t.diagnostic(`80 sessions cut in ${cutMs} ms; this process saw the last end after ${tookMs.toFixed(0)} ms`)
  // The goal is 50 ms; a busy machine gets a margin of five. What this process sees is only printed: it includes its own
  // share of the processors, for which 80 ending server processes compete.
  assert.ok(Number(cutMs) < 250, `cut in ${cutMs} ms`)

  await Promise.all(patient.map(client => client.until('the greeting', () => client.text.includes('Z'))))
  for (const client of patient) {
    assert.equal(await who(client), 'pg2')
    assert.deepEqual([client.ends, client.errors], [0, []])
  }
  assert.ok(unstarted.every(client => client.ends === 0))
  await stand.routed('pg2')
  await sleep(1200)
  for (const [state, clients] of cut) {
    for (const client of clients) assert.deepEqual([client.ends, client.errors], [1, []], state)
  }
  // The server's side of these streams is between two messages, so the reason could be told.
  for (const state of ['idle', 'in a statement', 'half closed', 'waiting for the greeting']) {
    for (const client of cut.get(state) ?? []) {
      assert.equal(sqlStateOf(client.text), '57P01', state)
      assert.match(client.text, /Dpg2 took over from pg1\0/)
    }
  }
  for (const client of [...(cut.get('in COPY') ?? []), ...(cut.get('in TLS') ?? [])]) {
    assert.equal(client.bytes, 0)
  }
  emptyBacklog()
  pg1.postmaster.thaw()
  // First it takes the hundreds of the backlog, each with a process of its own.
  await waitFor('the end of every server process of a client on pg1', { withinMs: 120_000 }, async note => {
    const left = [...(await pg1.clientBackends()), ...(await pg1.clientProcesses())]
    note(JSON.stringify(left))
    return left.length === 0
  })
  const status = await stand.status()
  assert.equal(status.members.find(({ name }) => name === 'pg1')?.sessions, 0)
  assert.match(
    await stand.log(),
    /failover to timeline 2: pg1 -> pg2 in \d+\.\d\d s \(last good answer to key gone \d+\.\d\d, lock \d+\.\d\d, routed \d+\.\d\d\); 80 sessions cut, 15 held/,
  )
})

test('one client more than a listener takes gets 53300, and a place again when another one leaves', async t => {
  await stand.settle('pg1')
  const clients = await several(3, () => login(stand.read))
  t.after(() => closeAll(clients))
  const refused = await startSession(stand.read)
  await refused.untilEnd()
  assert.equal(sqlStateOf(refused.text), '53300')
  assert.match(refused.text, /SFATAL\0/)
  clients[0]?.socket.destroy()
  const again = await waitFor('a free place', { withinMs: 30_000 }, () => login(stand.read))
  again.socket.destroy()
})

test('without a leader a client waits its time and is then told the story', async t => {
  await stand.settle('pg1')
  await stand.dropKey()
  pg1.follow()
  await sleep(600)
  await stand.lead('pg2')
  pg2.follow()
  const client = await startSession(stand.write)
  t.after(() => client.socket.destroy())
  await client.untilEnd(25_000)
  assert.equal(sqlStateOf(client.text), '57P03')
  const [, said] =
    /Dcluster pgsql has no leader for (\d+\.\d) s: pg1 gave the leader key up; pg2 is promoting\0/.exec(
      client.text,
    ) ?? []
  t.diagnostic(`told after ${said} s without a leader`)
  assert.ok(Number(said) >= 5, client.text)
})

test('a leader whose REST server hangs keeps its sessions while its lease is renewed', async t => {
  await stand.settle('pg1', 3)
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  pg1.script.isSilent = true
  await sleep(4000)
  assert.equal(await who(client), 'pg1')
  const another = await login(stand.write)
  assert.equal(await who(another), 'pg1')
  another.socket.destroy()
})

test('a lease that ends with a silent leader cuts its sessions at the last deadline, not later', async t => {
  await stand.settle('pg1', 3)
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  pg1.script.isSilent = true
  stand.letGo()
  const beforeMs = performance.now()
  // By the proxy's own account: both the deadline and the cut have its time.
  let deadlineMs = Number.NaN
  await waitFor('the cut', { withinMs: 20_000, everyMs: 20 }, async note => {
    if (client.ends > 0) return true
    const { write } = await stand.status()
    note(JSON.stringify(write))
    if (write !== null) deadlineMs = Date.now() + write.evidence_left_ms
    return false
  })
  const tookMs = performance.now() - beforeMs
  const retired = (await stand.status()).events.findLast(({ kind }) => kind === 'retired')
  const lateMs = Date.parse(retired?.time ?? '') - deadlineMs
  t.diagnostic(`cut ${lateMs} ms after the deadline, ${tookMs.toFixed(0)} ms after the last renewal`)
  // Not one byte passes after the deadline: the gate knows it by itself. The cut is a timer's work.
  assert.ok(lateMs < 1_500, `cut ${lateMs} ms after the deadline`)
  assert.equal(sqlStateOf(client.text), '57P01')
})

test('a leader that re-attaches its key to new leases loses no session', async t => {
  await stand.settle('pg1', 3)
  const { epoch } = await stand.status()
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  for (let turn = 0; turn < 5; turn += 1) {
    await stand.lead('pg1', 3)
    await sleep(300)
    assert.equal(await who(client), 'pg1')
  }
  assert.deepEqual((await stand.status()).epoch, epoch)
})

test('while etcd is down the leader that answers keeps its sessions and takes new ones', async t => {
  await stand.settle('pg1', 3)
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  await Promise.all(stand.etcd.members.map(member => member.server.kill()))
  await sleep(5000)
  assert.equal(await who(client), 'pg1')
  const another = await login(stand.write)
  assert.equal(await who(another), 'pg1')
  another.socket.destroy()
  await stand.etcd.start()
  await waitFor('etcd to be heard', { withinMs: 30_000 }, async () =>
    (await stand.status()).events.some(({ kind }) => kind === 'store-answers'),
  )
})

test('when etcd and the leader are both silent its sessions are cut', async t => {
  await stand.settle('pg1', 3)
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  await Promise.all(stand.etcd.members.map(member => member.server.freeze()))
  t.after(() => {
    for (const { server } of stand.etcd.members) server.thaw()
  })
  pg1.script.isSilent = true
  await client.untilEnd()
  await waitFor('the story of both', { withinMs: 20_000 }, async note => {
    const { waiting_because: story } = await stand.status()
    note(String(story))
    return /nothing proves any more that pg1 leads; pg1 does not answer \(.*\); etcd has not answered for/.test(
      story ?? '',
    )
  })
  for (const { server } of stand.etcd.members) server.thaw()
})

test('etcd put back to an older snapshot is followed without a restart', async t => {
  await stand.settle('pg1')
  const file = `${stand.work.data}/backup`
  await stand.etcd.snapshot(file)
  for (let count = 0; count < 50; count += 1) await stand.put('history', `[${count}]`)
  await stand.settle('pg2')
  const client = await login(stand.write)
  t.after(() => client.socket.destroy())
  assert.equal(await who(client), 'pg2')
  stand.letGo()
  await stand.etcd.restore(file)
  await client.untilEnd(30_000)
  pg2.follow()
  pg1.lead()
  // The leases of the backup are not kept alive by anybody: the leader takes its key again.
  await stand.lead('pg1')
  await stand.routed('pg1', 30_000)
  const again = await login(stand.write)
  assert.equal(await who(again), 'pg1')
  again.socket.destroy()
  assert.match(
    await stand.log(),
    /WARNING: etcd was restored or replaced .*routing starts again from nothing/,
  )
})
