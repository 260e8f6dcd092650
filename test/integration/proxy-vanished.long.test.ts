// Peers that vanish without a word while bytes are under way, and peers that only do not read: TCP_USER_TIMEOUT ends the ones
// and lets the others be. Hosts with networks of their own, since only a packet that is lost shows it.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { defaultTimeouts } from '../../src/config/proxy/defaults.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'
import { greeting, played, rig, untilEmpty } from './proxy-listener-rig.ts'
import { transports } from './relay-rig.ts'

/** Short for a test; several times as long must change nothing for a peer that is there. */
const LIMIT_MS = 1500
const BYTES = 32 * 1024 * 1024
const work = await makeWorkplace({ after })
const SUBNET = '192.168.236'
const network = await Network.create(work, { subnet: SUBNET })

/** Logs in and reads on; a line in its log for each piece. */
const CLIENT = `
const socket = require('node:net').connect({ host: process.argv[2], port: Number(process.argv[3]) })
socket.write(Buffer.from('00000010000300007573657200750000', 'hex'))
socket.on('data', bytes => console.log(bytes.length))
`

for (const transport of transports) {
  test(`a client that vanishes while bytes are under way is given up at the limit: ${transport.kind}`, async t => {
    const limited = await rig(t, withLimit(LIMIT_MS))
    const patient = await rig(t, withLimit(undefined))
    const host = await network.host(`gone-${transport.kind}`)
    work.defer(() => host.remove())
    await writeFile(host.path('client.cjs'), CLIENT)
    const guests = []
    for (const made of [limited, patient]) {
      const { stage: server, backend } = await played(t)
      made.backends = [backend]
      const words = [host.path('client.cjs'), `${SUBNET}.254`, String(made.address.port)]
      await host.server({ name: 'client', command: [process.execPath, ...words] }).start()
      const guest = await server.guest(0)
      guest.socket.write(greeting)
      guests.push(guest)
    }
    await waitFor('both to stream', { withinMs: 20_000 }, () =>
      [limited, patient].every(made => [...made.listener.sessions].some(one => one.state === 'streaming')),
    )
    await sleep(300)
    await network.unplug(host)
    const atMs = performance.now()
    for (const guest of guests) guest.socket.write('into the void')
    await untilEmpty(limited)
    const tookMs = performance.now() - atMs
    t.diagnostic(`given up after ${Math.round(tookMs)} ms, limit ${LIMIT_MS} ms`)
    assert.ok(tookMs > LIMIT_MS / 2 && tookMs < 5 * LIMIT_MS, `${tookMs}`)
    assert.deepEqual([limited.ended, patient.ended], [['client-reset'], []])
  })

  test(`a peer that is there and does not read is let be, however long: ${transport.kind}`, async t => {
    const made = await rig(t, withLimit(LIMIT_MS))
    const readers = []
    for (const stalled of ['near', 'far']) {
      const { stage: server, backend } = await played(t)
      made.backends = [backend]
      const near = await made.connect()
      const far = await server.guest(0)
      await far.untilText('user')
      const [reader, writer] = stalled === 'near' ? [near, far] : [far, near]
      reader.socket.pause()
      writer.socket.write(Buffer.alloc(BYTES))
      readers.push(reader)
    }
    await sleep(4 * LIMIT_MS)
    assert.deepEqual(made.ended, [])
    for (const reader of readers) {
      const had = reader.bytes
      reader.socket.resume()
      await reader.until('all of it', () => reader.bytes - had >= BYTES - had)
      reader.socket.destroy()
    }
  })

  function withLimit(limitMs: number | undefined) {
    const timeouts = { ...defaultTimeouts, clientUnackedMs: limitMs, serverUnackedMs: limitMs }
    return { transport, config: { timeouts, binds: [{ host: '0.0.0.0', port: 0 }] } }
  }
}
