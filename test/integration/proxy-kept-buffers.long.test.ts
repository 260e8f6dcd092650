// Many sessions that have moved a lot and then do nothing: what the proxy still holds for each of them.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { waitFor } from '../../src/demo/wait.ts'
import { KEPT_MAX, ReadBuffer } from '../../src/proxy/relay/read-buffer.ts'
import { greeting, inState, played, rig, untilEmpty } from './proxy-listener-rig.ts'
import { transports } from './relay-rig.ts'

const SESSIONS = KEPT_MAX + 36
/** More than the kernel takes for a reader that does not read. */
const PIECE_BYTES = 8 * 1024 * 1024

for (const transport of transports)
  test(`a hundred sessions with a large answer for a reader that sleeps, then idle: few buffers are kept: ${transport.kind}`, async t => {
    const made = await rig(t, { transport })
    const { stage: server, backend } = await played(t)
    made.backends = [backend]
    const clients = await Promise.all(Array.from({ length: SESSIONS }, () => made.connect()))
    await inState(made, 'streaming', SESSIONS)
    await server.guest(SESSIONS - 1)
    const piece = randomBytes(PIECE_BYTES)
    for (const client of clients) client.socket.pause()
    for (const { socket } of server.guests) {
      socket.write(greeting)
      socket.write(piece)
    }
    const moved = () =>
      [...made.listener.sessions].map(session => session.counters()?.toClientBytes ?? 0).join()
    let before = ''
    await waitFor('nothing to move any more', { withinMs: 60_000, everyMs: 300 }, () => {
      const isStalled = before === moved()
      before = moved()
      return isStalled
    })
    const stalled = before.split(',').filter(bytes => Number(bytes) < PIECE_BYTES).length
    const keptStalled = ReadBuffer.kept
    const bytes = clients.map(() => 0)
    for (const [index, { socket }] of clients.entries()) {
      socket.removeAllListeners('data')
      socket.on('data', chunk => {
        bytes[index] = (bytes[index] ?? 0) + chunk.length
      })
      socket.resume()
    }
    await waitFor('everybody to have everything', { withinMs: 120_000 }, note => {
      const whole = bytes.filter(count => count >= PIECE_BYTES)
      note(`${whole.length}`)
      return whole.length === SESSIONS
    })
    t.diagnostic(
      `${stalled} of ${SESSIONS} stalled, ${keptStalled} buffers kept then, ${ReadBuffer.kept} when idle`,
    )
    assert.ok(stalled > KEPT_MAX, `${stalled} stalled`)
    assert.ok(keptStalled <= KEPT_MAX && ReadBuffer.kept <= KEPT_MAX)
    for (const { socket } of [...clients, ...server.guests]) socket.destroy()
    await untilEmpty(made)
    assert.equal(ReadBuffer.kept, 0)
  })
