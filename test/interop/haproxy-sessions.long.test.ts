// How sessions end, wait and are spread: Debian's HAProxy and our proxy side by side with one file, the seed's and further
// sections with servers that are not checked. What differs is named: each is an intended difference.

import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../src/demo/loopback.ts'
import { Stage, sqlStateOf, type Watched } from '../integration/proxy-wire.ts'
import { Differential, enter, OWN_ADDRESS, type Side, SUBNET, shell } from '../support/differential.ts'
import { authOk, message, ready } from '../unit/proxy/bytes.ts'

const both = await Differential.create({ after })
const { work } = both

async function stage(): Promise<Stage> {
  const opened = await Stage.open(OWN_ADDRESS)
  work.defer(async () => opened.close())
  return opened
}

/** Nobody listens there. */
const closedPort = await freePort(OWN_ADDRESS, 15_999)
/** Whatever is sent there is lost. */
const HOLE = `${SUBNET}.253`
const [plain, small, one, two, none] = [
  await stage(),
  await stage(),
  await stage(),
  await stage(),
  await stage(),
]
const at = ({ address }: Stage) => `${address.host}:${address.port}`

/** The sides have these addresses; each SYN to the closed port is counted, for each side alone. */
const SOURCES = [`${SUBNET}.205`, `${SUBNET}.206`]
await shell(['ip', 'address', 'add', `${HOLE}/24`, 'dev', 'pgherd0'])
const rules = [
  'add table inet differential',
  'add chain inet differential arriving { type filter hook input priority 0; }',
  `add rule inet differential arriving ip daddr ${HOLE} drop`,
  ...SOURCES.map(
    source =>
      `add rule inet differential arriving ip saddr ${source} tcp dport ${closedPort} tcp flags & (syn | ack) == syn counter`,
  ),
]
await shell(['nft', rules.join('\n')])
work.defer(async () => {
  await shell(['nft', 'delete', 'table', 'inet', 'differential'])
})

const { theirs, ours, sides } = await both.start(`
listen relay
    bind *:5100
    server plain ${at(plain)}

listen refused
    bind *:5101
    server gone ${OWN_ADDRESS}:${closedPort}

listen hole
    bind *:5102
    timeout connect 1s
    server hole ${HOLE}:5432

listen full
    bind *:5103
    timeout connect 2s
    server small ${at(small)} maxconn 1

listen client_idle
    bind *:5104
    timeout client 1s
    server plain ${at(plain)}

listen server_idle
    bind *:5105
    timeout server 1s
    server plain ${at(plain)}

listen weights
    bind *:5106
    server one ${at(one)} weight 10
    server two ${at(two)} weight 20
    server none ${at(none)} weight 0

listen least
    bind *:5107
    balance leastconn
    server one ${at(one)}
    server two ${at(two)}
`)

/** A session through a side, with both ends in hand; the server has greeted the client. */
async function session(
  side: Side,
  port: number,
  stageOf = plain,
): Promise<{ client: Watched; server: Watched }> {
  const before = stageOf.guests.length
  const client = await enter(side, port)
  const server = await stageOf.guest(before)
  server.socket.on('error', () => {})
  server.socket.write(Buffer.concat([authOk, ready]))
  await client.untilText('Z')
  return { client, server }
}

/** Runs the same on each side, theirs first, and compares what is returned. */
async function same<T>(play: (side: Side) => Promise<T>): Promise<T> {
  const [haproxy, pgherd] = [await play(theirs), await play(ours)]
  assert.deepEqual(pgherd, haproxy)
  return haproxy
}

test('a server that closes its side: the client reads the end, and what it says still arrives: no difference', async () => {
  const seen = await same(async side => {
    const { client, server } = await session(side, 5100)
    server.socket.end(message('N', 'bye\0'))
    await client.untilText('bye')
    await client.untilEnd()
    client.socket.write(message('Q', 'still there\0'))
    await server.untilText('still there')
    const { ends, errors } = client
    client.socket.end()
    await server.untilEnd()
    return { ends, errors, serverEnds: server.ends, serverErrors: server.errors }
  })
  assert.deepEqual(seen, { ends: 1, errors: [], serverEnds: 1, serverErrors: [] })
})

test('a server that resets: the client reads an end, never a reset: no difference', async () => {
  const seen = await same(async side => {
    const { client, server } = await session(side, 5100)
    server.socket.resetAndDestroy()
    await client.untilEnd()
    const { ends, errors } = client
    client.socket.destroy()
    return { ends, errors }
  })
  assert.deepEqual(seen, { ends: 1, errors: [] })
})

test('a client that resets: the server is reset: no difference', async () => {
  const seen = await same(async side => {
    const { client, server } = await session(side, 5100)
    client.socket.resetAndDestroy()
    await server.untilEnd()
    return server.errors
  })
  assert.deepEqual(seen, ['ECONNRESET'])
})

/** SYNs that came to the closed port so far, from each side. */
async function attempts(): Promise<readonly number[]> {
  const listed = JSON.parse(await shell(['nft', '-j', 'list', 'table', 'inet', 'differential'])) as {
    nftables: readonly { rule?: { expr: readonly { counter?: { packets: number } }[] } }[]
  }
  return listed.nftables
    .flatMap(({ rule }) => rule?.expr ?? [])
    .flatMap(({ counter }) => (counter === undefined ? [] : [counter.packets]))
}

/** Between which two looks something happened, in ms after the client's start-up packet. */
interface Between {
  readonly fromMs: number
  readonly toMs: number
}

/** Each attempt of a side at the closed port, and when the client was closed. */
async function refusedAttempts(side: Side): Promise<{ tries: readonly Between[]; closedAtMs: number }> {
  const index = sides.indexOf(side)
  const before = (await attempts())[index] ?? 0
  const startedAtMs = performance.now()
  const client = await enter(side, 5101)
  const tries: Between[] = []
  let fromMs = 0
  const look = async () => {
    const beganMs = performance.now() - startedAtMs
    const now = ((await attempts())[index] ?? 0) - before
    while (tries.length < now) tries.push({ fromMs, toMs: performance.now() - startedAtMs })
    fromMs = beganMs
  }
  while (client.ends === 0 && fromMs < 20_000) {
    await look()
    await sleep(30)
  }
  await look()
  assert.deepEqual([client.bytes, client.errors], [0, []], side.host.name)
  client.socket.destroy()
  return { tries, closedAtMs: client.endedAtMs - startedAtMs }
}

test('a server that refuses is tried three times, a second apart, then the client is closed without a word: no difference', async t => {
  for (const side of sides) {
    const { tries, closedAtMs } = await refusedAttempts(side)
    const told = tries.map(({ fromMs, toMs }) => `${Math.round(fromMs)}-${Math.round(toMs)}`).join(', ')
    const says = `${side.host.name}: tried after ${told} ms, closed after ${Math.round(closedAtMs)} ms`
    t.diagnostic(says)
    assert.equal(tries.length, 3, says)
    for (const [turn, { fromMs, toMs }] of tries.slice(1).entries()) {
      const earlier = tries[turn]
      assert.ok(earlier !== undefined)
      // What can be said for certain on a machine that is slow to look.
      assert.ok(toMs - earlier.fromMs > 900, `too soon: ${says}`)
      assert.ok(fromMs - earlier.toMs < 5_000, `too late: ${says}`)
    }
    assert.ok(closedAtMs > 1_900 && closedAtMs < 10_000, says)
  }
})

test('a server that answers nothing is tried three times for timeout connect, then the client is closed without a word: no difference', async t => {
  const took = await Promise.all(
    sides.map(async side => {
      const startedAtMs = performance.now()
      const client = await enter(side, 5102)
      await client.untilEnd()
      const tookMs = client.endedAtMs - startedAtMs
      t.diagnostic(`${side.host.name}: closed after ${Math.round(tookMs)} ms`)
      assert.deepEqual([client.bytes, client.errors], [0, []], side.host.name)
      client.socket.destroy()
      return tookMs
    }),
  )
  for (const tookMs of took) assert.ok(tookMs > 2_900 && tookMs < 4_800, `${tookMs} ms`)
})

test('a full server: clients wait in order, and who waits longer than timeout connect is closed without a word: no difference', async t => {
  await same(async side => {
    const first = await session(side, 5103, small)
    const before = small.guests.length
    const second = await enter(side, 5103)
    await sleep(200)
    const thirdAtMs = performance.now()
    const third = await enter(side, 5103)
    await sleep(200)
    assert.deepEqual([small.guests.length, second.ends, third.ends], [before, 0, 0], side.host.name)
    first.client.socket.end()
    await first.server.untilEnd()
    first.server.socket.end()
    const next = await small.guest(before)
    next.socket.write(Buffer.concat([authOk, ready]))
    await second.untilText('Z')
    assert.equal(third.bytes, 0, side.host.name)
    await third.untilEnd()
    const waitedMs = third.endedAtMs - thirdAtMs
    t.diagnostic(`${side.host.name}: the third was closed after ${Math.round(waitedMs)} ms`)
    assert.ok(waitedMs > 1_900 && waitedMs < 8_000, `${side.host.name}: ${waitedMs} ms`)
    const { bytes, errors } = third
    for (const { socket } of [second, third, next]) socket.destroy()
    return { bytes, errors }
  })
})

test('a session of which one side is closed keeps its place at the server until both are: no difference', async () => {
  await same(async side => {
    const first = await session(side, 5103, small)
    first.client.socket.end()
    await first.server.untilEnd()
    const before = small.guests.length
    const second = await enter(side, 5103)
    await second.untilEnd()
    const { bytes, ends } = second
    assert.equal(small.guests.length, before, side.host.name)
    first.server.socket.end()
    const third = await enter(side, 5103)
    const server = await small.guest(before)
    for (const { socket } of [first.client, second, third, server]) socket.destroy()
    return { bytes, ends }
  })
})

for (const [what, port] of [
  ['timeout client', 5104],
  ['timeout server', 5105],
] as const) {
  test(`a session in which nothing moves ends after ${what}: HAProxy says nothing, ours 57P01 when it may`, async t => {
    const states: (string | undefined)[] = []
    for (const side of sides) {
      const startedAtMs = performance.now()
      const { client, server } = await session(side, port)
      // HAProxy closes the far side and waits for it to close, too, as clients and servers do.
      for (const { socket } of [client, server]) socket.once('end', () => socket.end())
      await client.untilEnd()
      await server.untilEnd()
      const tookMs = client.endedAtMs - startedAtMs
      t.diagnostic(
        `${side.host.name}: ended after ${Math.round(tookMs)} ms, ${sqlStateOf(client.text) ?? 'without a word'}`,
      )
      states.push(sqlStateOf(client.text))
      assert.deepEqual([client.ends, client.errors], [1, []], side.host.name)
      assert.ok(tookMs > 900 && tookMs < 6_000, `${side.host.name}: ${tookMs} ms`)
      for (const { socket } of [client, server]) socket.destroy()
    }
    assert.deepEqual(states, [undefined, '57P01'])
  })
}

test('weights: of thirty sessions a server of weight 20 gets twenty, one of 10 ten, one of 0 none: no difference', async () => {
  const seen = await same(async side => {
    const before = [one, two, none].map(({ guests }) => guests.length)
    const clients: Watched[] = []
    for (let count = 1; count <= 30; count += 1) {
      clients.push(await enter(side, 5106))
      // In turn: each has its server before the next one comes.
      await clients.at(-1)?.until('a server', () => taken(before) === count)
    }
    const shares = [one, two, none].map(({ guests }, index) => guests.length - (before[index] ?? 0))
    for (const { socket } of clients) socket.destroy()
    return shares
  })
  assert.deepEqual(seen, [10, 20, 0])
})

test('leastconn: short sessions one after the other go to equal servers in turn: no difference', async () => {
  const seen = await same(async side => {
    const before = [one, two, none].map(({ guests }) => guests.length)
    for (let count = 1; count <= 6; count += 1) {
      const client = await enter(side, 5107)
      await client.until('a server', () => taken(before) === count)
      client.socket.destroy()
      for (const { guests } of [one, two]) for (const { socket } of guests) socket.destroy()
    }
    return [one, two].map(({ guests }, index) => guests.length - (before[index] ?? 0))
  })
  assert.deepEqual(seen, [3, 3])
})

function taken(before: readonly number[]): number {
  return [one, two, none].reduce((sum, { guests }, index) => sum + guests.length - (before[index] ?? 0), 0)
}
