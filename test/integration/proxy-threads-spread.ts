// Sessions that carry bytes over several threads: shared by the tests of threads over handles and over node:net.

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Threads } from '../../src/proxy/threads/threads.ts'
import { greeting, inState, played, type Rig, rig, untilEmpty } from './proxy-listener-rig.ts'
import type { Stage, Watched } from './proxy-wire.ts'

/** So many clients whose sessions carry bytes, spread over both threads. */
export async function streaming(made: Rig, server: Stage, count: number): Promise<readonly Watched[]> {
  const before = server.guests.length
  const clients = await Promise.all(Array.from({ length: count }, () => made.connect()))
  await inState(made, 'streaming', count)
  await server.guest(before + count - 1)
  for (const { socket } of server.guests.slice(before)) socket.write(greeting)
  for (const client of clients) await client.until('the greeting', () => client.bytes === greeting.length)
  return clients
}

export function sessionsOf(over: Threads): readonly number[] {
  return over.sessions.map(({ sessions }) => sessions)
}

export async function spreads(t: TestContext, over: Threads): Promise<void> {
  const made = await rig(t, { transport: over })
  const { stage: server, backend } = await played(t)
  made.backends = [backend]
  const clients = await streaming(made, server, 40)
  const [one = 0, two = 0] = sessionsOf(over)
  t.diagnostic(`${one} and ${two} sessions`)
  assert.ok(one > 0 && two > 0 && one + two === 40, `${one} and ${two}`)
  for (const [index, client] of clients.entries()) client.socket.write(`question ${index}.`)
  for (const guest of server.guests) {
    await guest.untilText('.')
    guest.socket.write(`answer to ${/question \d+/.exec(guest.text)?.[0]}.`)
  }
  for (const [index, client] of clients.entries()) await client.untilText(`answer to question ${index}.`)
  for (const { socket } of clients) socket.end()
  for (const { socket } of server.guests) socket.end()
  await untilEmpty(made)
  assert.deepEqual(sessionsOf(over), [0, 0])
  assert.equal(made.ended.length, 40)
}
