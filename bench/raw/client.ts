// The client of the raw load, a process of its own: does one order after the other and says what it found.

import type { Dial, DialListener, Wire, WireListener } from '../../src/proxy/relay/wire.ts'
import { greeting, type RawMode, startup } from './protocol.ts'
import { nowMs, transport } from './wires.ts'

export type Order =
  | { readonly kind: 'echo' | 'connects'; readonly clients: number; readonly seconds: number }
  | { readonly kind: 'down' | 'up'; readonly seconds: number }
  /** Opens so many sessions and leaves them open; `closed` then waits until all have ended. */
  | { readonly kind: 'open'; readonly clients: number }
  | { readonly kind: 'closed' }
  | { readonly kind: 'drop' }

export type Job = Order & { readonly host: string; readonly port: number }

export interface Answer {
  readonly operations: number
  readonly seconds: number
  readonly latenciesUs: readonly number[]
  /** When the last of the sessions had ended. */
  readonly lastEndMs: number
}

const MESSAGE = Buffer.alloc(100, 'q')
const BLOCK = Buffer.alloc(64 * 1024, 'x')
const SAMPLED = 16
/** How many connections are on their way at once while sessions are opened. */
const OPENING = 64
const CLOSED_WITHIN_MS = 30_000

/** One session: greets, then does what its kind says until it is told to stop. */
class Guest implements WireListener, DialListener {
  readonly #job: Job
  readonly #tell: GuestListener
  #wire: Wire | undefined
  readonly #dial: Dial
  #greeted = 0
  #pending = 0
  #sentAtMs = 0

  constructor(job: Job, tell: GuestListener) {
    this.#job = job
    this.#tell = tell
    this.#sentAtMs = nowMs()
    this.#dial = transport.dial(job, { keepAliveMs: 30_000 }, this)
  }

  onConnected(wire: Wire): void {
    this.#wire = wire
    wire.listener = this
    wire.start()
    wire.write(startup(modeOf(this.#job)))
  }

  onFailed(error: Error): void {
    fail(error)
  }

  onData(bytes: Buffer): void {
    let count = bytes.length
    if (this.#greeted < greeting.length) {
      const taken = Math.min(count, greeting.length - this.#greeted)
      this.#greeted += taken
      count -= taken
      if (this.#greeted < greeting.length) return
      this.#tell.onGreeted(this, this.#sentAtMs)
    }
    if (this.#job.kind === 'down') this.#tell.onDone(count)
    if (this.#job.kind !== 'echo') return
    this.#pending -= count
    if (this.#pending > 0 || count === 0) return
    this.#tell.onDone(1, this.#sentAtMs)
    this.ask()
  }

  onEnd(): void {
    this.#wire?.end()
    this.#tell.onEnded()
  }

  onTaken(): void {
    this.pour()
  }

  onBroken(): void {
    this.#tell.onEnded()
  }

  onClosed(): void {}

  ask(): void {
    this.#pending = MESSAGE.length
    this.#sentAtMs = nowMs()
    this.#wire?.write(MESSAGE)
  }

  pour(): void {
    const wire = this.#wire
    for (let count = 0; count < 16 && wire?.isDestroyed === false; count += 1) {
      this.#tell.onDone(BLOCK.length)
      if (!wire.write(BLOCK)) return
    }
    if (wire?.isDestroyed === false) setImmediate(() => this.pour())
  }

  end(): void {
    this.#wire?.end()
  }

  drop(): void {
    this.#dial.abort()
    this.#wire?.reset()
  }
}

interface GuestListener {
  onGreeted(guest: Guest, sinceMs: number): void
  onDone(count: number, sinceMs?: number): void
  onEnded(): void
}

function modeOf({ kind }: Job): RawMode {
  return kind === 'down' || kind === 'up' ? kind : 'echo'
}

function fail(error: Error): never {
  process.stderr.write(`bench client: ${error.message}\n`)
  process.exit(1)
}

let open: Guest[] = []
let ended = 0
let lastEndMs = 0

const onEnded = (): void => {
  ended += 1
  lastEndMs = nowMs()
}

/** Sessions that are opened once and then work for a time. */
function load(job: Job & { readonly seconds: number }, clients: number): Promise<Answer> {
  const latenciesUs: number[] = []
  let operations = 0
  let all = 0
  const startedAtMs = nowMs()
  const onDone = (count: number, sinceMs?: number) => {
    operations += count
    if (sinceMs === undefined) return
    all += 1
    if (all % SAMPLED === 0) latenciesUs.push(Math.round((nowMs() - sinceMs) * 1000))
  }
  return new Promise(resolve => {
    const onGreeted = (guest: Guest) => {
      if (job.kind === 'echo') guest.ask()
      if (job.kind === 'up') guest.pour()
    }
    const guests = Array.from({ length: clients }, () => new Guest(job, { onGreeted, onDone, onEnded }))
    setTimeout(() => {
      const seconds = (nowMs() - startedAtMs) / 1000
      for (const guest of guests) guest.drop()
      resolve({ operations, seconds, latenciesUs, lastEndMs: 0 })
    }, job.seconds * 1000)
  })
}

/** Each of so many clients connects, waits for the greeting, closes, and begins again when the other side has closed too. */
function connects(job: Job & { readonly seconds: number }, clients: number): Promise<Answer> {
  const latenciesUs: number[] = []
  let operations = 0
  const startedAtMs = nowMs()
  const untilMs = startedAtMs + job.seconds * 1000
  let left = clients
  return new Promise(resolve => {
    const again = () => {
      if (nowMs() < untilMs) {
        new Guest(job, listener)
        return
      }
      left -= 1
      if (left > 0) return
      resolve({ operations, seconds: (nowMs() - startedAtMs) / 1000, latenciesUs, lastEndMs: 0 })
    }
    const listener: GuestListener = {
      onGreeted: (guest, sinceMs) => {
        operations += 1
        latenciesUs.push(Math.round((nowMs() - sinceMs) * 1000))
        guest.end()
      },
      onDone: () => {},
      onEnded: again,
    }
    for (let count = 0; count < clients; count += 1) again()
  })
}

function openSessions(job: Job, clients: number): Promise<Answer> {
  const startedAtMs = nowMs()
  let greeted = 0
  let begun = 0
  ended = 0
  return new Promise(resolve => {
    const begin = () => {
      if (begun === clients) return
      begun += 1
      open.push(new Guest(job, { onGreeted, onDone: () => {}, onEnded }))
    }
    const onGreeted = () => {
      greeted += 1
      begin()
      const seconds = (nowMs() - startedAtMs) / 1000
      if (greeted === clients) resolve({ operations: clients, seconds, latenciesUs: [], lastEndMs: 0 })
    }
    for (let count = 0; count < OPENING; count += 1) begin()
  })
}

async function untilClosed(): Promise<Answer> {
  const untilMs = nowMs() + CLOSED_WITHIN_MS
  while (ended < open.length) {
    if (nowMs() > untilMs) fail(new Error(`${open.length - ended} of ${open.length} sessions have not ended`))
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  open = []
  return { operations: ended, seconds: 0, latenciesUs: [], lastEndMs }
}

function run(job: Job): Promise<Answer> {
  if (job.kind === 'echo') return load(job, job.clients)
  if (job.kind === 'down' || job.kind === 'up') return load(job, 1)
  if (job.kind === 'connects') return connects(job, job.clients)
  if (job.kind === 'open') return openSessions(job, job.clients)
  if (job.kind === 'closed') return untilClosed()
  for (const guest of open) guest.drop()
  open = []
  return Promise.resolve({ operations: 0, seconds: 0, latenciesUs: [], lastEndMs: 0 })
}

process.on('disconnect', () => process.exit(0))
process.on('message', (job: Job) => {
  run(job).then(
    answer => process.send?.(answer),
    error => fail(error instanceof Error ? error : new Error(String(error))),
  )
})
process.send?.({ isReady: true })
