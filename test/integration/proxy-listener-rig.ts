import { after, type TestContext } from 'node:test'
import type { HostPort } from '../../src/cluster/member.ts'
import { defaultListener, defaultOnNoBackend } from '../../src/config/proxy/defaults.ts'
import type { ListenerConfig } from '../../src/config/proxy/types.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { type Clock, realClock, type Timer } from '../../src/platform/clock.ts'
import { Backend } from '../../src/proxy/backend.ts'
import { CancelKeys } from '../../src/proxy/cancel.ts'
import { Listener } from '../../src/proxy/listener.ts'
import type { SessionTotals } from '../../src/proxy/outage.ts'
import type { Pool } from '../../src/proxy/pool.ts'
import type { Transport, Wire } from '../../src/proxy/relay/wire.ts'
import { openThreads } from '../../src/proxy/threads/threads.ts'
import { authOk, keyData, parameter, ready, startup } from '../unit/proxy/bytes.ts'
import { Stage, startSession, type Watched } from './proxy-wire.ts'
import { transports } from './relay-rig.ts'

const wantedRelay = process.env['PGHERD_TEST_RELAY'] ?? 'handle'
const usual = wantedRelay === 'threads' ? await openTestThreads() : findTransport()

function findTransport(): Transport | undefined {
  return transports.find(({ kind }) => kind === wantedRelay)
}

async function openTestThreads(): Promise<Transport> {
  const threads = await openThreads({
    count: 2,
    relay: 'handle',
    clock: realClock,
    record: ({ says }) => process.stderr.write(`${says}\n`),
    onHopeless: error => {
      throw error
    },
  })
  after(() => threads.close())
  return threads
}

/**
 * In which order connections came to a server. Sessions that go on one right after the other, in different threads, may meet on
 * their way there: their order is a matter of proxy-threads.test.ts.
 */
export function arrived<T>(found: readonly T[]): readonly T[] {
  return wantedRelay === 'threads' ? [...found].sort() : found
}

export const secret = Buffer.from('0badcafe', 'hex')
export const greeting = Buffer.concat([
  authOk,
  parameter('in_hot_standby', 'off'),
  keyData(42, secret),
  ready,
])
export const first = startup({ user: 'u' })

/** Measured time stands still until the test moves it; timers fire as they do. For rates, which count by measured time. */
export class HeldClock implements Clock {
  nowMs = 0

  monotonicMs(): number {
    return this.nowMs
  }

  wallMs(): number {
    return realClock.wallMs()
  }

  setTimer(delayMs: number, run: () => void): Timer {
    return realClock.setTimer(delayMs, run)
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return realClock.sleep(delayMs, signal)
  }
}

interface Changes {
  readonly pool?: ListenerConfig['pool']
  readonly sessionsMax?: number
  readonly holdMs?: number
  readonly heldMax?: number
  readonly plainErrors?: boolean
  readonly afterHold?: 'error' | 'close'
  readonly config?: Partial<ListenerConfig>
  /** What carries the sessions; default: the handles, as in a proxy, or what PGHERD_TEST_RELAY says (net, handle, threads). */
  readonly transport?: Transport
  /** Is there a place in the limit of all listeners? Default: always. */
  readonly hasPlace?: () => boolean
  /** Default: every client. */
  readonly mayServe?: (client: Wire) => boolean
  /** Default: the real one. */
  readonly clock?: Clock
  /** How connections to servers are made. */
  readonly way?: Partial<ReturnType<Pool['optionsOf']>>
}

export interface Rig {
  readonly listener: Listener
  readonly address: HostPort
  readonly transport: Transport
  readonly totals: SessionTotals
  readonly ended: string[]
  readonly said: string[]
  readonly refused: string[]
  /** Where new sessions go; empty: they wait. In order of preference. */
  backends: Backend[]
  isFull: (backend: Backend) => boolean
  connect(): Promise<Watched>
}

export async function rig(t: TestContext, changes: Changes = {}): Promise<Rig> {
  const transport = changes.transport ?? usual
  if (transport === undefined) throw new Error(`PGHERD_TEST_RELAY: ${wantedRelay}`)
  const ended: string[] = []
  const said: string[] = []
  const refused: string[] = []
  const totals = { cut: 0, held: 0 }
  const made = { backends: [] as Backend[], isFull: (_backend: Backend) => false }
  const { holdMs = 5000, heldMax = 10, plainErrors = false, afterHold = 'error' } = changes
  const listener = new Listener({
    config: {
      ...defaultListener,
      name: 'write',
      binds: [{ host: '127.0.0.1', port: 0 }],
      pool: changes.pool ?? 'leader',
      fallback: 'none',
      connectionsMax: 100,
      onNoBackend: { ...defaultOnNoBackend, holdMs, heldMax, afterHold, plainErrors },
      ...changes.config,
    },
    sessionsMax: changes.sessionsMax ?? 100,
    clock: changes.clock ?? realClock,
    transport,
    pool: {
      choose: ({ tried }) => {
        const backend = made.backends.find(one => !tried.has(one.name))
        if (backend === undefined) return { kind: 'none' }
        if (made.isFull(backend)) return { kind: 'full' }
        return { kind: 'backend', backend, isFallback: false }
      },
      hasRoom: () => made.backends.some(backend => !made.isFull(backend)),
      isEmpty: () => made.backends.length === 0,
      candidates: () => made.backends,
      optionsOf: () => ({
        connectionsMax: undefined,
        sendProxy: undefined,
        source: undefined,
        ...changes.way,
      }),
    },
    cancels: new CancelKeys(),
    events: { record: event => void said.push(event.says) },
    metrics: {
      accepted: () => {},
      held: () => {},
      turnedAway: () => {},
      cancelDropped: () => {},
      denied: () => {},
      ended: (_listener, why) => void ended.push(why),
    },
    totals,
    mayServe: changes.mayServe ?? (() => true),
    hasPlace: changes.hasPlace ?? (() => true),
    onLocalFailure: why => void said.push(why),
    onConnected: () => {},
    explain: () => 'cluster pgsql has no leader for 2.1 s',
    onRefused: (backend, why) => {
      refused.push(`${backend.name}: ${why}`)
      if (changes.pool !== 'replica') made.backends = []
    },
  })
  await listener.listen()
  t.after(() => listener.stop('over'))
  const address = listener.address
  return Object.assign(made, {
    listener,
    address,
    transport,
    totals,
    ended,
    said,
    refused,
    connect: () => startSession(address),
  })
}

export async function stage(t: TestContext): Promise<Stage> {
  const made = await Stage.open()
  t.after(() => made.close())
  return made
}

/** A server that is played by hand. */
export async function played(t: TestContext, name = 'pg1') {
  const made = await stage(t)
  return { stage: made, backend: new Backend(name, made.address, realClock) }
}

export async function inState(made: Rig, state: string, count: number): Promise<void> {
  await waitFor(`${count} sessions ${state}`, { withinMs: 20_000, everyMs: 5 }, note => {
    const states = [...made.listener.sessions].map(session => session.state)
    note(states.join())
    return states.filter(one => one === state).length === count
  })
}

export async function untilEmpty(made: Rig): Promise<void> {
  await waitFor(
    'all sessions to be over',
    { withinMs: 20_000, everyMs: 5 },
    () => made.listener.sessions.size === 0,
  )
}
