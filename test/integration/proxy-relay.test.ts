// The relay on real sockets, over both kinds of wires: half-close, resets, back-pressure, cuts.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import test, { describe } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Gate } from '../../src/proxy/backend.ts'
import { printFatal, sqlState } from '../../src/proxy/error-response.ts'
import { message, ready } from '../unit/proxy/bytes.ts'
import { sqlStateOf } from './proxy-wire.ts'
import { clear, type Rig, rig, transports } from './relay-rig.ts'

const fatal = printFatal({ code: sqlState.adminShutdown, message: 'cut' })

async function untilClosed(made: Rig): Promise<void> {
  await waitFor('both sockets to be closed', { withinMs: 20_000, everyMs: 5 }, () => made.closed > 0)
  await sleep(20)
  assert.equal(made.closed, 1)
}

for (const transport of transports)
  describe(transport.kind, () => {
    test('bytes pass both ways, early ones first, and are counted', async t => {
      const made = await rig(t, transport, { early: Buffer.from('early ') })
      made.client.socket.write('late')
      await made.server.untilText('early late')
      made.server.socket.write('answer')
      await made.client.untilText('answer')
      const { toServerBytes, toClientBytes } = made.relay.counters()
      assert.deepEqual([toServerBytes, toClientBytes], [10, 6])
    })

    test('a client that closes its half still gets the answer', async t => {
      const made = await rig(t, transport)
      made.client.socket.end('last question')
      await made.server.until('the end', () => made.server.ends === 1)
      made.server.socket.write('answer after the end')
      await made.client.untilText('answer after the end')
      assert.equal(made.closed, 0)
      made.server.socket.end()
      await untilClosed(made)
      assert.deepEqual([made.client.ends, made.client.errors, made.ended], [1, [], []])
    })

    test('a server that closes its half still gets what the client sends', async t => {
      const made = await rig(t, transport)
      made.server.socket.end('goodbye')
      await made.client.until('the end', () => made.client.ends === 1)
      assert.equal(made.client.text, 'goodbye')
      made.client.socket.end('still talking')
      await made.server.untilText('still talking')
      await untilClosed(made)
      assert.deepEqual([made.server.errors, made.client.errors], [[], []])
    })

    test("a client's reset is a reset for the server, at once", async t => {
      const made = await rig(t, transport)
      made.client.socket.write('x')
      await made.server.untilText('x')
      made.client.socket.resetAndDestroy()
      await made.server.until('a reset', () => made.server.errors.length > 0)
      assert.deepEqual(made.server.errors, ['ECONNRESET'])
      await untilClosed(made)
      assert.deepEqual(made.ended, ['client-reset'])
    })

    test("a server's reset is an orderly end for the client, which first gets all that was read", async t => {
      const made = await rig(t, transport)
      const farewell = Buffer.concat([randomBytes(100_000), fatal])
      made.server.socket.write(farewell)
      await made.client.until('all of it', () => made.client.bytes === farewell.length)
      made.server.socket.resetAndDestroy()
      await made.client.until('the end', () => made.client.ends === 1)
      made.client.socket.end()
      await untilClosed(made)
      assert.deepEqual(made.client.errors, [])
      assert.ok(made.client.received.equals(farewell))
      assert.deepEqual(made.ended, ['server-reset'])
    })

    for (const direction of ['down', 'up'] as const) {
      test(`a stalled reader stops the writer ${direction}stream within a bound, and gets every byte later`, async t => {
        const made = await rig(t, transport)
        const [from, to] = direction === 'down' ? [made.server, made.client] : [made.client, made.server]
        const block = randomBytes(256 * 1024)
        const blocks = 256
        to.socket.pause()
        let sent = 0
        const pump = () => {
          while (sent < blocks) {
            sent += 1
            if (!from.socket.write(block)) break
          }
        }
        from.socket.on('drain', pump)
        pump()
        await sleep(500)
        const { toServerBytes, toClientBytes } = made.relay.counters()
        const takenBytes = Math.max(toServerBytes, toClientBytes)
        const stalledAt = sent
        // Kernel buffers of two connections on loopback take a few megabytes each; the relay itself must take next to nothing.
        assert.ok(takenBytes < 16 * 1024 * 1024, `took ${takenBytes} bytes`)
        await sleep(200)
        assert.equal(sent, stalledAt)
        const digest = createHash('sha256')
        to.socket.removeAllListeners('data')
        let bytes = 0
        to.socket.on('data', chunk => {
          digest.update(chunk)
          bytes += chunk.length
        })
        to.socket.resume()
        await waitFor('all bytes', { withinMs: 20_000 }, note => {
          note(`${bytes} of ${blocks * block.length}`)
          return bytes === blocks * block.length
        })
        const wanted = createHash('sha256')
        for (let count = 0; count < blocks; count += 1) wanted.update(block)
        assert.equal(digest.digest('hex'), wanted.digest('hex'))
      })
    }

    test('a cut between two messages says why, ends the client in order and resets the server', async t => {
      const made = await rig(t, transport)
      made.server.socket.write(Buffer.concat([message('D', 'row'), ready]))
      await made.client.untilText('Z')
      made.relay.close('cut', fatal)
      await made.client.until('the end', () => made.client.ends === 1)
      assert.equal(sqlStateOf(made.client.text), '57P01')
      await made.server.until('a reset', () => made.server.errors.length > 0)
      assert.deepEqual(made.server.errors, ['ECONNRESET'])
      made.client.socket.end()
      await untilClosed(made)
      assert.deepEqual([made.client.errors, made.ended], [[], ['cut']])
    })

    test('a cut while the client does not read drops what its kernel has not taken, and says nothing', async t => {
      const made = await rig(t, transport)
      made.client.socket.pause()
      const block = randomBytes(256 * 1024)
      for (let count = 0; count < 64; count += 1) made.server.socket.write(block)
      let takenBytes = -1
      await waitFor('the relay to stand still', { withinMs: 20_000, everyMs: 200 }, () => {
        const before = takenBytes
        takenBytes = made.relay.counters().toClientBytes
        return takenBytes > 0 && takenBytes === before
      })
      made.relay.close('cut', fatal)
      await untilClosed(made)
      made.client.socket.resume()
      await made.client.untilEnd()
      assert.ok(made.client.bytes < takenBytes, `${made.client.bytes} of ${takenBytes} bytes`)
      const wanted = Buffer.concat(Array.from({ length: 64 }, () => block))
      assert.ok(made.client.received.equals(wanted.subarray(0, made.client.bytes)))
    })

    test('a cut while the server does not read: what it still gets is what the client sent, in order', async t => {
      const made = await rig(t, transport)
      made.server.socket.pause()
      const sent = randomBytes(24 * 1024 * 1024)
      made.client.socket.write(sent)
      let takenBytes = -1
      await waitFor('the relay to stand still', { withinMs: 20_000, everyMs: 200 }, () => {
        const before = takenBytes
        takenBytes = made.relay.counters().toServerBytes
        return takenBytes > 0 && takenBytes === before
      })
      made.relay.close('cut', fatal)
      await new Promise(resolve => setImmediate(resolve))
      made.server.socket.resume()
      await made.server.untilEnd()
      assert.ok(made.server.bytes <= takenBytes, `${made.server.bytes} of ${takenBytes} bytes`)
      assert.ok(made.server.received.equals(sent.subarray(0, made.server.bytes)))
    })

    for (const [where, bytes] of [
      ['inside a message', message('D', 'a long row').subarray(0, 9)],
      ['before the server is ready', message('C', 'SELECT 1\0')],
    ] as const) {
      test(`a cut ${where} says nothing`, async t => {
        const made = await rig(t, transport)
        made.server.socket.write(Buffer.concat([ready, bytes]))
        await made.client.until('the bytes', () => made.client.bytes === ready.length + bytes.length)
        made.relay.close('cut', fatal)
        await made.client.until('the end', () => made.client.ends === 1)
        assert.equal(made.client.bytes, ready.length + bytes.length)
        assert.deepEqual(made.client.errors, [])
      })
    }

    test('a client that never closes is gone soon after a cut all the same', async t => {
      const made = await rig(t, transport)
      made.relay.close('cut', fatal)
      made.relay.close('cut', fatal)
      await untilClosed(made)
    })

    test('a client that goes on sending while it is cut reads the last words, not a reset', async t => {
      const made = await rig(t, transport)
      made.server.socket.write(ready)
      await made.client.untilText('Z')
      const block = Buffer.alloc(64 * 1024)
      for (let count = 0; count < 20; count += 1) made.client.socket.write(block)
      made.relay.close('cut', fatal)
      await made.client.until('the end', () => made.client.ends === 1)
      assert.equal(sqlStateOf(made.client.text), '57P01')
      assert.deepEqual(made.client.errors, [])
    })

    test('a client that looks only after the proxy has given it up still reads the last words, and then an end', async t => {
      const made = await rig(t, transport)
      made.server.socket.write(ready)
      await made.client.untilText('Z')
      made.client.socket.pause()
      made.client.socket.write(message('Q', 'a question that nobody answers\0'))
      made.relay.close('cut', fatal)
      await untilClosed(made)
      made.client.socket.resume()
      await made.client.until('the end', () => made.client.ends === 1)
      assert.equal(sqlStateOf(made.client.text), '57P01')
      assert.deepEqual(made.client.errors, [])
    })

    test('not one byte passes a shut gate, in either direction, also when it was there before', async t => {
      const made = await rig(t, transport)
      made.server.socket.write('before')
      await made.client.untilText('before')
      // With the kernel at once, and read only in the next round of the loop.
      made.server.socket.write('acknowledged too late')
      made.client.socket.write('asked too late')
      made.gate.isShut = true
      await waitFor('the relay to notice', { withinMs: 20_000, everyMs: 5 }, () => made.ended.length > 0)
      assert.deepEqual(made.ended, ['gate-closed'])
      made.relay.close('cut', fatal)
      await untilClosed(made)
      assert.equal(made.client.text, 'before')
      assert.equal(made.server.text, '')
    })

    for (const direction of ['down', 'up'] as const)
      test(`a piece that waits for a slow reader ${direction}stream: when the kernel has taken it the gate is asked again`, async t => {
        const made = await rig(t, transport)
        const [from, to] = direction === 'down' ? [made.server, made.client] : [made.client, made.server]
        to.socket.pause()
        from.socket.write(randomBytes(32 * 1024 * 1024))
        const taken = () => {
          const { toServerBytes, toClientBytes } = made.relay.counters()
          return toServerBytes + toClientBytes
        }
        let before = -1
        await waitFor('a full kernel', { withinMs: 20_000, everyMs: 100 }, () => {
          const isStalled = before === taken()
          before = taken()
          return isStalled && before > 0
        })
        made.gate.isShut = true
        await sleep(100)
        assert.deepEqual(made.ended, [], 'nothing has moved')
        let bytes = 0
        to.socket.removeAllListeners('data')
        to.socket.on('data', chunk => {
          bytes += chunk.length
        })
        // The sender is not read meanwhile, because its piece waits: only that piece, once it was taken, can ask.
        to.socket.resume()
        await waitFor('the end of the session', { withinMs: 20_000, everyMs: 5 }, () => made.ended.length > 0)
        assert.deepEqual(made.ended, ['gate-closed'])
        await sleep(100)
        assert.ok(bytes <= before && taken() === before, `${bytes} bytes of ${before}`)
      })

    test('after a stall of the process the deadline is asked before the first byte, not by a timer after it', async t => {
      const gate = new Gate(realClock)
      const made = await rig(t, transport, { passage: gate })
      made.server.socket.write('before')
      await made.client.untilText('before')
      // Everything below happens in one turn of the loop: the bytes are in the kernel, the deadline passes while we block, and
      // the sockets are looked at before any timer.
      gate.untilMs = realClock.monotonicMs() + 20
      made.server.socket.write('acknowledged too late')
      made.client.socket.write('asked too late')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60)
      await waitFor('the relay to notice', { withinMs: 20_000, everyMs: 5 }, () => made.ended.length > 0)
      assert.deepEqual([made.ended, made.client.text, made.server.text], [['gate-closed'], 'before', ''])
    })

    test('a piece that the observer stops does not reach the client', async t => {
      const observer = { ...clear, isOver: () => false, fromServer: () => false, isAtBoundary: () => true }
      const made = await rig(t, transport, { observer })
      made.server.socket.write('standby')
      await waitFor('the refusal', { withinMs: 20_000, everyMs: 5 }, () => made.ended.length > 0)
      made.relay.close('cut', fatal)
      await made.client.until('the end', () => made.client.ends === 1)
      assert.deepEqual([made.ended, sqlStateOf(made.client.text)], [['refused'], '57P01'])
      assert.doesNotMatch(made.client.text, /standby/)
    })
  })
