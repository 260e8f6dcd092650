// One script of servers, Debian's HAProxy and our proxy side by side in front of them, both with the seed's haproxy.cfg
// byte for byte. What differs is named: each is an intended difference.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { waitFor } from '../../src/demo/wait.ts'
import { dial, sqlStateOf, type Watched } from '../integration/proxy-wire.ts'
import { Differential, enter, reaches, type Side, shell } from '../support/differential.ts'

const both = await Differential.create({ after })
const servers = await both.play(3)
const [pg1, pg2, pg3] = servers
assert.ok(pg1 && pg2 && pg3)

pg1.be('leader')
pg2.be('replica')
pg3.be('replica')
const { theirs, ours, sides } = await both.start()

async function settle(leader: string): Promise<void> {
  for (const side of sides) {
    await waitFor(`${side.host.name} to send writes to ${leader}`, { withinMs: 40_000 }, async note => {
      const seen: string[] = []
      for (let turn = 0; turn < 3; turn += 1) seen.push(await reaches(side))
      note(seen.join())
      return seen.every(name => name === leader)
    })
  }
}

test('the process is named haproxy, so that scripts that watch over one find it', async () => {
  await waitFor('both to have the name', { withinMs: 20_000 }, async note => {
    const found = (await shell(['pgrep', '-x', 'haproxy'])).trim().split('\n').map(Number)
    note(found.join())
    return found.includes(theirs.process.pid) && found.includes(ours.process.pid)
  })
})

test('writes reach the leader, reads take turns among the replicas, and the status page answers: no difference', async () => {
  await settle('pg1')
  for (const side of sides) {
    // Each port has checks of its own: one may still be at its third when the other is done.
    await waitFor(`reads of ${side.host.name} to take turns`, { withinMs: 30_000 }, async note => {
      const reads: string[] = []
      for (let turn = 0; turn < 4; turn += 1) reads.push(await reaches(side, 6000))
      note(reads.join())
      return isDeepStrictEqual(reads.sort(), ['pg2', 'pg2', 'pg3', 'pg3'])
    })
    const page = await fetch(`http://${side.host.address}:7000/`, { signal: AbortSignal.timeout(2000) })
    assert.equal(page.status, 200)
    await page.text()
  }
})

test('the checks on the wire are the same bytes', () => {
  const asked = (side: Side) =>
    [
      ...new Set(
        servers
          .flatMap(({ requests }) => requests)
          .filter(({ from }) => from.endsWith(side.host.address))
          .map(({ text }) => text),
      ),
    ].sort()
  assert.deepEqual(asked(ours), asked(theirs))
  assert.deepEqual(asked(ours), ['GET /replica HTTP/1.0\r\n\r\n', 'OPTIONS / HTTP/1.0\r\n\r\n'])
})

test('a client that closes its side still gets what the server has to say: no difference', async () => {
  for (const side of sides) {
    const client = await enter(side)
    await client.untilText('server\0pg1')
    client.socket.end()
    await client.untilEnd()
    assert.match(client.text, /bye from pg1/, side.host.name)
  }
})

test('two lost checks of three change nothing: no difference', async () => {
  const clients = await Promise.all(sides.map(side => enter(side)))
  for (const client of clients) await client.untilText('server\0pg1')
  pg1.script.isSilent = true
  await sleep(4000)
  pg1.script.isSilent = false
  await sleep(2000)
  assert.deepEqual(
    clients.map(({ ends }) => ends),
    [0, 0],
  )
  assert.deepEqual([await reaches(theirs), await reaches(ours)], ['pg1', 'pg1'])
  for (const client of clients) client.socket.destroy()
})

test('a change of leader: HAProxy sends writes to the old one after the new one is up, ours never does', async t => {
  const attached = await Promise.all(sides.map(side => enter(side)))
  for (const client of attached) await client.untilText('server\0pg1')
  const startedAtMs = performance.now()
  pg1.be('replica')
  pg2.be('leader')
  const seen = new Map<Side, { at: number; where: string }[]>(sides.map(side => [side, []]))
  const untilMs = startedAtMs + 13_000
  await Promise.all(
    sides.map(async side => {
      while (performance.now() < untilMs) {
        const at = performance.now() - startedAtMs
        seen.get(side)?.push({ at, where: await reaches(side, 5000, 400) })
        await sleep(60)
      }
    }),
  )
  const backs = sides.map(side => {
    const all = seen.get(side) ?? []
    const firstNew = all.find(({ where }) => where === 'pg2')?.at ?? Number.NaN
    const strays = all.filter(({ at, where }) => at > firstNew && where === 'pg1')
    return { name: side.host.name, firstNew, strays: strays.length, last: all.at(-1)?.where }
  })
  for (const { name, firstNew, strays } of backs) {
    t.diagnostic(
      `${name}: first write at the new leader after ${(firstNew / 1000).toFixed(1)} s, ${strays} after that at the old one`,
    )
  }
  const [haproxy, pgherd] = backs
  assert.deepEqual([haproxy?.last, pgherd?.last], ['pg2', 'pg2'])
  assert.ok((haproxy?.strays ?? 0) > 0, 'HAProxy had no window with two writers')
  assert.equal(pgherd?.strays, 0)
  for (const [index, client] of attached.entries()) {
    await client.untilEnd()
    t.diagnostic(
      `${backs[index]?.name}: the old session was cut after ${((client.endedAtMs - startedAtMs) / 1000).toFixed(1)} s, ${sqlStateOf(client.text) ?? 'without a word'}`,
    )
    client.socket.destroy()
  }
  assert.deepEqual(
    attached.map(({ text }) => sqlStateOf(text)),
    [undefined, '57P01'],
  )
})

test('nobody leads: accepted and closed at once, without a byte: no difference', async t => {
  pg2.be('nothing')
  for (const side of sides) {
    await waitFor(`${side.host.name} to have no leader`, { withinMs: 20_000 }, async note => {
      const where = await reaches(side)
      note(where)
      return where === 'closed'
    })
    const startedAtMs = performance.now()
    const silent = await dial({ host: side.host.address, port: 5000 })
    await silent.untilEnd()
    assert.equal(silent.bytes, 0, side.host.name)
    const tookMs = performance.now() - startedAtMs
    t.diagnostic(`${side.host.name}: closed after ${Math.round(tookMs)} ms`)
    assert.ok(tookMs < 2_500, `not at once: after ${tookMs} ms`)
    silent.socket.destroy()
  }
})

test('a leader whose port refuses is tried three times, a second apart, then the client is closed: no difference', async t => {
  pg2.be('leader')
  await settle('pg2')
  await pg2.refuse()
  for (const side of sides) {
    const startedAtMs = performance.now()
    const client = await enter(side)
    await client.untilEnd()
    const tookMs = performance.now() - startedAtMs
    t.diagnostic(`${side.host.name}: closed after ${Math.round(tookMs)} ms`)
    assert.ok(tookMs > 1_800 && tookMs < 10_000, `${tookMs} ms`)
    assert.equal(client.bytes, 0)
    client.socket.destroy()
  }
  await pg2.accept()
  await settle('pg2')
})

test('at the global limit HAProxy answers nobody, on no port; ours says 53300 and the status port goes on', async () => {
  for (const side of sides) {
    const crowd: Watched[] = []
    for (let count = 0; count < 100; count += 1) crowd.push(await enter(side))
    await crowd.at(-1)?.untilText('server\0pg2')
    const late = await enter(side)
    const page = await fetch(`http://${side.host.address}:7000/`, { signal: AbortSignal.timeout(1500) }).then(
      answer => answer.status,
      () => undefined,
    )
    if (side === theirs) assert.deepEqual([late.bytes, late.ends, page], [0, 0, undefined])
    else {
      await late.untilEnd()
      assert.deepEqual([sqlStateOf(late.text), page], ['53300', 200])
    }
    for (const client of [...crowd, late]) client.socket.destroy()
  }
})

test('right after the start HAProxy sends writes to any server; ours sends them to the leader or nowhere', async () => {
  for (const side of sides) {
    await side.process.stop()
    await side.process.start()
    const seen: string[] = []
    const untilMs = performance.now() + 8000
    while (seen.length < 9 && performance.now() < untilMs) {
      const where = await reaches(side, 5000, 800)
      if (where === 'refused') await sleep(2)
      else seen.push(where)
    }
    if (side === theirs)
      assert.ok(
        seen.some(where => where === 'pg1' || where === 'pg3'),
        seen.join(),
      )
    else
      assert.ok(
        seen.every(where => where === 'pg2' || where === 'closed'),
        seen.join(),
      )
  }
})
