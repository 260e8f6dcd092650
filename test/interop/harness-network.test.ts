// The harness's network: hosts in namespaces, and cuts that lose packets in silence.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import type { Host } from '../../src/demo/host.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'

/** What has not come by then was cut off. */
const LOST_AFTER_MS = 1_500
/** A busy machine needs seconds for the first request of a new process. */
const ANSWERS_WITHIN_MS = 15_000

const work = await makeWorkplace({ after })
// The account that hosts run as may not be able to read the checkout and its Node.
const node = work.program[0] ?? process.execPath
const network = await Network.create(work, { addresses: { b: 202 }, interfaceName: 'ens33' })
const [a, b, c] = [await network.host('a'), await network.host('b'), await network.host('c')]
for (const host of [a, b, c]) await startEcho(host)

test('hosts have the addresses asked for and reach each other and the test', async () => {
  assert.equal(a.address, '10.77.0.11')
  assert.equal(b.address, '10.77.0.202')
  await reaches(a, b)
  await reaches(b, c)
  assert.equal(await fetchFromTest(c), 'c')
})

test('a cut separates two hosts and nobody else, until it is healed', async () => {
  await network.cut(a, b)
  assert.equal(await answers(a, b, LOST_AFTER_MS), false)
  assert.equal(await answers(b, a, LOST_AFTER_MS), false)
  await reaches(a, c)
  await network.heal()
  await reaches(a, b)
})

test('a cut in one direction lets datagrams pass in the other', async () => {
  await network.cut(a, b, 'forward')
  const lost = await sendDatagram(a, b)
  await arrives(await sendDatagram(b, a), a)
  await network.heal()
  // One that is sent later on the same way has come: the first would be there.
  await arrives(await sendDatagram(a, b), b)
  assert.equal((await received(b)).includes(lost), false)
})

test('an isolated host keeps its loopback and its link', async () => {
  await network.isolate(a)
  assert.equal(await answers(a, c, LOST_AFTER_MS), false)
  await reaches(a, a)
  assert.match(await network.inside(a, ['ip', '-br', 'link', 'show', 'ens33']), /LOWER_UP/)
  await network.heal()
})

test('an unplugged host loses its carrier', async () => {
  await network.unplug(b)
  assert.equal(await answers(a, b, LOST_AFTER_MS), false)
  await waitFor('no carrier', { withinMs: 20_000 }, async note => {
    const link = await network.inside(b, ['ip', '-br', 'link', 'show', 'ens33'])
    note(link)
    return /NO-CARRIER/.test(link)
  })
  await network.plug(b)
  await reaches(a, b)
})

/** A web server that answers with its host's name, and a datagram port that notes what came. */
async function startEcho(host: Host): Promise<void> {
  const script = `
    require('node:http').createServer((_, answer) => answer.end('${host.name}')).listen(8080, '${host.address}')
    const socket = require('node:dgram').createSocket('udp4')
    socket.on('message', text => console.log('got ' + text)).bind(9090, '${host.address}')`
  await host.server({ name: 'echo', command: [node, '-e', script] }).start()
  await reaches(host, host)
}

/** A slow answer is no sign of a cut: only an answer is a sign, and it may need more than one try. */
async function reaches(from: Host, to: Host): Promise<void> {
  await waitFor(`${to.name} to answer ${from.name}`, { withinMs: 60_000 }, () =>
    answers(from, to, ANSWERS_WITHIN_MS),
  )
}

async function answers(from: Host, to: Host, withinMs: number): Promise<boolean> {
  const script = `fetch('http://${to.address}:8080', { signal: AbortSignal.timeout(${withinMs}) })
    .then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))`
  const client = from.server({ name: 'client', command: [node, '-e', script] })
  await client.start()
  return (await client.exit).code === 0
}

async function fetchFromTest(host: Host): Promise<string> {
  return (await fetch(`http://${host.address}:8080`, { signal: AbortSignal.timeout(20_000) })).text()
}

let sent = 0

/** Resolves to its text. */
async function sendDatagram(from: Host, to: Host): Promise<string> {
  sent += 1
  const text = `datagram-${sent}-`
  const script = `const socket = require('node:dgram').createSocket('udp4')
    socket.send('${text}', 9090, '${to.address}', () => socket.close())`
  const client = from.server({ name: 'sender', command: [node, '-e', script] })
  await client.start()
  await client.exit
  return text
}

async function arrives(text: string, at: Host): Promise<void> {
  await waitFor(`${text} at ${at.name}`, { withinMs: 20_000 }, async () =>
    (await received(at)).includes(text),
  )
}

function received(at: Host): Promise<string> {
  return readFile(`${work.logs}/${at.name}-echo.log`, 'utf8')
}
