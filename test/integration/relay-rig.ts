// client <-> relay <-> server, all in this process, over either kind of wire.

import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { realClock } from '../../src/platform/clock.ts'
import { openHandleTransport } from '../../src/proxy/relay/handle.ts'
import { openNetTransport } from '../../src/proxy/relay/net.ts'
import type { Observer, Passage, RelayEnd } from '../../src/proxy/relay/relay.ts'
import type { Transport, Wire } from '../../src/proxy/relay/wire.ts'
import { WireRelay } from '../../src/proxy/relay/wire-relay.ts'
import { dial, Stage, type Watched } from './proxy-wire.ts'

/** Both kinds; this Node has the handles, or the tests fail. */
export const transports: readonly Transport[] = [openNetTransport(realClock), openHandles()]

function openHandles(): Transport {
  const opened = openHandleTransport(realClock)
  if (typeof opened === 'string') throw new Error(opened)
  return opened
}

/** Nothing to see: the stream is clear text from its first byte. */
export const clear: Observer = {
  fromClient: () => {},
  fromServer: () => true,
  isOver: () => true,
  isAtBoundary: () => false,
  isClear: () => true,
}

export interface Rig {
  readonly relay: WireRelay
  readonly client: Watched
  readonly server: Watched
  readonly gate: { isShut: boolean }
  readonly ended: RelayEnd[]
  closed: number
}

export interface RigOptions {
  readonly early?: Buffer
  readonly observer?: Observer
  readonly passage?: Passage
}

export async function rig(
  t: TestContext,
  transport: Transport,
  { early = Buffer.alloc(0), observer = clear, passage }: RigOptions = {},
): Promise<Rig> {
  const stage = await Stage.open()
  const accepting = Promise.withResolvers<Wire>()
  const front = transport.createServer({ keepAliveMs: 30_000 }, accepting.resolve)
  await new Promise<void>(resolve => void front.listen({ port: 0, host: '127.0.0.1' }, resolve))
  const { port } = front.address() as AddressInfo
  const client = await dial({ host: '127.0.0.1', port })
  const dialing = Promise.withResolvers<Wire>()
  const listener = { onConnected: dialing.resolve, onFailed: dialing.reject }
  transport.dial(stage.address, { keepAliveMs: 30_000 }, listener)
  const [near, far] = await Promise.all([accepting.promise, dialing.promise])
  const server = await stage.guest(0)
  front.close()
  const gate = { isShut: false }
  const ended: RelayEnd[] = []
  const made = { closed: 0 }
  const relay = new WireRelay({
    clock: realClock,
    client: near,
    server: far,
    passage: passage ?? { isOpen: () => !gate.isShut },
    observer,
    listener: {
      onHalfClosed: () => {},
      onEnding: why => void ended.push(why),
      onRelayClosed: () => {
        made.closed += 1
      },
    },
  })
  relay.start(early)
  t.after(() => {
    stage.close()
    client.socket.destroy()
    for (const wire of [near, far]) wire.destroy()
  })
  return Object.assign(made, { relay, client, server, gate, ended })
}
