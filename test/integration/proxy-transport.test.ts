// What carries the sessions is tried out at the start, and what does not work is not used.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { AddressInfo } from 'node:net'
import test, { type TestContext } from 'node:test'
import type { HostPort } from '../../src/cluster/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { type Inside, openBindings } from '../../src/proxy/relay/bindings.ts'
import { openHandleTransport } from '../../src/proxy/relay/handle.ts'
import { netTransport, openNetTransport } from '../../src/proxy/relay/net.ts'
import { testTransport } from '../../src/proxy/relay/self-test.ts'
import { chooseTransport } from '../../src/proxy/relay/transport.ts'
import { nobody, type Transport, type Wire } from '../../src/proxy/relay/wire.ts'
import { dial, Stage } from './proxy-wire.ts'
import { transports } from './relay-rig.ts'

const inside = process as unknown as Inside

for (const transport of transports) {
  test(`the test at the start passes: ${transport.kind}`, async t => {
    const startedAtMs = performance.now()
    assert.equal(await testTransport(realClock, transport), undefined)
    t.diagnostic(`took ${(performance.now() - startedAtMs).toFixed(0)} ms`)
  })
}

for (const transport of transports)
  test(`the test at the start passes with a server that is given by its name: ${transport.kind}`, async () => {
    const byName: Transport = {
      ...transport,
      dial: ({ port }, options, listener) => transport.dial({ host: 'localhost', port }, options, listener),
    }
    assert.equal(await testTransport(realClock, byName), undefined)
  })

for (const open of [
  openNetTransport,
  (...[clock, lookUp]: Parameters<typeof openNetTransport>) => openHandleTransport(clock, inside, lookUp),
])
  test(`a resolver that hangs fails as a look-up: ${open === openNetTransport ? 'net' : 'handle'}`, async () => {
    const transport = open(realClock, () => new Promise(() => {}))
    assert.ok(typeof transport !== 'string')
    const failed = Promise.withResolvers<NodeJS.ErrnoException>()
    const listener = { onConnected: () => assert.fail('connected'), onFailed: failed.resolve }
    transport.dial({ host: 'db1', port: 5432 }, { keepAliveMs: 1_000, lookUpMs: 20 }, listener)
    assert.equal((await failed.promise).code, 'ETIMEOUT')
  })

/** What Node makes of itself, as it tells on its own channels. */
function counted(t: TestContext, channel: string): { count: number } {
  const made = { count: 0 }
  const onMade = () => {
    made.count += 1
  }
  subscribe(channel, onMade)
  t.after(() => unsubscribe(channel, onMade))
  return made
}

test('a server whose name has two addresses, of which the first refuses, is reached, without a socket object: handle', async t => {
  const stage = await Stage.open()
  t.after(() => stage.close())
  const asked: string[] = []
  const transport = openHandleTransport(realClock, undefined, async name => {
    asked.push(name)
    return ['127.0.0.2', stage.address.host]
  })
  if (typeof transport === 'string') throw new Error(transport)
  const made = counted(t, 'net.client.socket')
  for (const index of [0, 1]) {
    const wire = await dialed(transport, { ...stage.address, host: 'db1.example' })
    const guest = await stage.guest(index)
    wire.write(Buffer.from('startup'))
    await guest.untilText('startup')
    wire.destroy()
  }
  assert.deepEqual([asked, made.count], [['db1.example'], 0])
})

/** The low-level transport with one thing wrong in the wires that it dials. */
function spoilt(spoil: (wire: Wire) => unknown): Transport {
  const transport = openHandleTransport(realClock)
  if (typeof transport === 'string') throw new Error(transport)
  return {
    ...transport,
    dial: (address, options, listener) =>
      transport.dial(address, options, {
        onFailed: error => listener.onFailed(error),
        onConnected: wire => {
          spoil(wire)
          listener.onConnected(wire)
        },
      }),
  }
}

const faults: readonly (readonly [string, (wire: Wire) => unknown, RegExp])[] = [
  [
    'a byte is changed',
    wire => {
      const write = wire.write.bind(wire)
      wire.write = bytes => write(Buffer.from(bytes.map(byte => byte ^ 1)))
    },
    /a byte was wrong/,
  ],
  ['a FIN is not sent', wire => Object.assign(wire, { end: () => {} }), /the end of one half did not come/],
  ['a reset is a FIN', wire => Object.assign(wire, { reset: () => wire.destroy() }), /a reset did not come/],
  [
    'reading cannot be stopped',
    wire => Object.assign(wire, { stop: () => {} }),
    /bytes came to an end that does not read/,
  ],
]

for (const [what, spoil, says] of faults) {
  test(`handles that are not as we know them are not used: ${what}`, async () => {
    const { transport, fallback } = await chooseTransport(realClock, 'auto', () => spoilt(spoil))
    assert.equal(transport.kind, 'net')
    assert.match(fallback ?? '', says)
    assert.match(fallback ?? '', /the TCP handles of Node v\d+\.\d+\.\d+ do not work as expected/)
  })
}

test('a Node without the handles, or with others, is told by their shape', () => {
  assert.equal(openBindings({ platform: 'linux' }), 'process.binding does not exist')
  assert.equal(openBindings({ ...inside, platform: 'win32', binding: () => ({}) }), 'not known on win32')
  assert.equal(openBindings({ platform: 'linux', binding: () => ({}) }), 'a class is missing')
  const throwing = () => {
    throw new Error('No such binding: tcp_wrap')
  }
  assert.equal(openBindings({ platform: 'linux', binding: throwing }), 'No such binding: tcp_wrap')
})

test('whoever insists on the handles is told that they do not work; net never tries them', async () => {
  const without = () => openHandleTransport(realClock, { platform: 'linux' })
  await assert.rejects(chooseTransport(realClock, 'handle', without), {
    name: 'UserError',
    message: /^relay: handle: the TCP handles .*: process.binding does not exist; take auto or net$/,
  })
  const untouched = () => assert.fail('asked for the handles')
  const { transport, fallback } = await chooseTransport(realClock, 'net', untouched)
  assert.deepEqual([transport.kind, fallback], ['net', undefined])
})

/** A wire to the stage, as the proxy makes one. */
function dialed(transport: Transport, address: HostPort): Promise<Wire> {
  const dialing = Promise.withResolvers<Wire>()
  const listener = { onConnected: dialing.resolve, onFailed: dialing.reject }
  transport.dial(address, { keepAliveMs: 30_000 }, listener)
  return dialing.promise
}

const moments: readonly (readonly [string, number, () => Promise<void>])[] = [
  ['in the same step', 1, () => Promise.resolve()],
  ['in the next one', 1, () => new Promise(resolve => process.nextTick(resolve))],
  ['behind bytes that are not taken', 32 * 1024 * 1024, () => new Promise(resolve => setImmediate(resolve))],
]
for (const transport of transports)
  for (const [when, length, moment] of moments)
    test(`a reset while a FIN is under way, ${when}, closes all the same: ${transport.kind}`, async t => {
      const stage = await Stage.open()
      t.after(() => stage.close())
      const wire = await dialed(transport, stage.address)
      const guest = await stage.guest(0)
      guest.socket.pause()
      t.after(() => guest.socket.destroy())
      let isClosed = false
      const onClosed = () => {
        isClosed = true
      }
      wire.listener = { ...nobody, onClosed }
      wire.write(Buffer.alloc(length))
      wire.end()
      await moment()
      wire.reset()
      await waitFor('the end of the wire', { withinMs: 5_000, everyMs: 5 }, () => isClosed)
      if (length === 1) return
      guest.socket.resume()
      await guest.untilEnd()
      assert.deepEqual([guest.errors, guest.ends], [['ECONNRESET'], 0], 'what was under way is dropped')
      assert.ok(guest.bytes < length, `${guest.bytes} bytes`)
    })

const silences: readonly (readonly [string, (wire: Wire) => void])[] = [
  ['before it has begun to read', () => {}],
  [
    'when it was begun and stopped in one step',
    wire => {
      wire.start()
      wire.stop()
    },
  ],
]
for (const transport of transports)
  for (const [when, prepare] of silences)
    test(`a wire tells no byte ${when}, and afterwards every one: ${transport.kind}`, async t => {
      const stage = await Stage.open()
      t.after(() => stage.close())
      // Two of them, whose bytes must not land in one place.
      const [one, two] = [await dialed(transport, stage.address), await dialed(transport, stage.address)]
      const early: string[] = []
      for (const wire of [one, two]) {
        wire.listener = { ...nobody, onData: bytes => void early.push(`${bytes}`) }
        prepare(wire)
      }
      // Three pieces with a moment between them, so that none of them can be read together with another.
      for (const piece of ['greeting ', 'of the ', 'server '])
        for (const index of [0, 1]) {
          const { socket } = await stage.guest(index)
          socket.write(`${piece}${index} `)
          await new Promise(resolve => setTimeout(resolve, 15))
        }
      assert.deepEqual(early, [])
      for (const [index, wire] of [one, two].entries()) {
        const all = `greeting ${index} of the ${index} server ${index} `
        const heard: string[] = []
        wire.listener = { ...nobody, onData: bytes => void heard.push(`${bytes}`) }
        wire.start()
        const isAll = () => heard.join('').length >= all.length
        await waitFor('the greeting', { withinMs: 5_000, everyMs: 5 }, isAll)
        assert.equal(heard.join(''), all)
        wire.destroy()
      }
    })

/** What the kernel has for us is there after some turns of the loop, each of which asks it. */
async function someTurns(): Promise<void> {
  for (let count = 0; count < 20; count += 1) await new Promise(resolve => setImmediate(resolve))
}

/** As in a Node whose handles have no buffer of ours: what is accepted meanwhile goes through its stream. */
function withoutUserBuffer(t: TestContext): void {
  const { TCP } = inside.binding?.('tcp_wrap') ?? {}
  const { prototype } = TCP as { prototype: object }
  assert.ok(!Object.hasOwn(prototype, 'useUserBuffer'), 'it is inherited, and shadowed here')
  Object.defineProperty(prototype, 'useUserBuffer', { value: undefined, configurable: true })
  t.after(() => Reflect.deleteProperty(prototype, 'useUserBuffer'))
}

/** And how many sockets with streams Node makes for a client. */
const pourings: readonly (readonly [string, Transport, (t: TestContext) => void, number])[] = [
  ...transports.map(transport => [transport.kind, transport, () => {}, 0] as const),
  ['net, through its stream', netTransport, withoutUserBuffer, 1],
]
for (const [kind, transport, prepare, sockets] of pourings)
  test(`a client’s wire that was stopped tells no further piece while the client pours, and afterwards every byte: ${kind}`, async t => {
    prepare(t)
    const made = counted(t, 'net.server.socket')
    const accepting = Promise.withResolvers<Wire>()
    const front = transport.createServer({ keepAliveMs: 30_000 }, accepting.resolve)
    await new Promise<void>(resolve => void front.listen({ port: 0, host: '127.0.0.1' }, resolve))
    t.after(() => front.close())
    const { port } = front.address() as AddressInfo
    const client = await dial({ host: '127.0.0.1', port })
    const wire = await accepting.promise
    assert.equal(made.count, sockets)
    t.after(() => [client.socket, wire].forEach(one => void one.destroy()))
    const poured = randomBytes(16 * 1024 * 1024 + 1)
    const heard: Buffer[] = []
    let isStopping = true
    const onData = (bytes: Buffer) => {
      heard.push(Buffer.from(bytes))
      if (isStopping) wire.stop()
    }
    wire.listener = { ...nobody, onData }
    wire.start()
    wire.stop()
    client.socket.write(poured)
    await someTurns()
    assert.equal(heard.length, 0, 'begun and stopped in one step')
    for (let pieces = 1; pieces <= 5; pieces += 1) {
      wire.start()
      await waitFor('a piece', { withinMs: 5_000, everyMs: 5 }, () => heard.length >= pieces)
      await someTurns()
      assert.equal(heard.length, pieces)
    }
    isStopping = false
    wire.start()
    const length = () => heard.reduce((sum, bytes) => sum + bytes.length, 0)
    await waitFor('all', { withinMs: 10_000, everyMs: 5 }, () => length() >= poured.length)
    assert.ok(Buffer.concat(heard).equals(poured))
  })

for (const transport of transports.filter(({ kind }) => kind === 'handle'))
  for (const first of ['write', 'write and an end', 'FIN'])
    test(`what a server said before its reset is read to the end, also when a ${first} fails first: ${transport.kind}`, async t => {
      const stage = await Stage.open()
      t.after(() => stage.close())
      const wire = await dialed(transport, stage.address)
      const guest = await stage.guest(0)
      const heard: string[] = []
      wire.listener = {
        ...nobody,
        onData: bytes => void heard.push(`${bytes}`),
        onBroken: () => void heard.push('broken'),
        onClosed: () => void heard.push('closed'),
      }
      await new Promise<void>(resolve => void guest.socket.write('FATAL', () => resolve()))
      guest.socket.resetAndDestroy()
      await guest.untilEnd()
      wire.start()
      for (let count = 0; count < 3 && first !== 'FIN'; count += 1) wire.write(Buffer.from('more of a COPY'))
      if (first !== 'write') wire.end()
      await waitFor('the end of the wire', { withinMs: 5_000, everyMs: 5 }, () => heard.includes('closed'))
      assert.deepEqual(heard, ['FATAL', 'broken', 'closed'])
    })
