// The client of the raw load, a process of its own: does one order after the other and says what it found.

import { Guest, type GuestListener, type Job } from './guest.ts'
import { nowMs } from './monotonic.ts'
import { transport } from './wires.ts'

export interface Answer {
  readonly operations: number
  readonly seconds: number
  readonly latenciesUs: readonly number[]
  /** When the last of the sessions had ended. */
  readonly lastEndMs: number
}

const SAMPLED = 16
/** How many connections are on their way at once while sessions are opened. */
const OPENING = 64
const CLOSED_WITHIN_MS = 30_000

function fail(error: Error): never {
  process.stderr.write(`bench client: ${error.message}\n`)
  process.exit(1)
}

/** Sessions that are open; a late word of one that was dropped means nothing. */
const open = new Set<Guest>()
let lastEndMs = 0

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
    // Without it the others would look slow instead.
    const onEnded = () => fail(new Error(`a session ended while it was measured (${job.kind})`))
    const tell = { onGreeted, onDone, onEnded, onFailed: fail }
    const guests = Array.from({ length: clients }, () => new Guest(job, transport, tell))
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
        new Guest(job, transport, listener)
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
      onFailed: fail,
    }
    for (let count = 0; count < clients; count += 1) again()
  })
}

function openSessions(job: Job, clients: number): Promise<Answer> {
  const startedAtMs = nowMs()
  let greeted = 0
  let begun = 0
  return new Promise(resolve => {
    const begin = () => {
      if (begun === clients) return
      begun += 1
      open.add(new Guest(job, transport, listener))
    }
    const listener: GuestListener = {
      onGreeted: () => {
        greeted += 1
        begin()
        const seconds = (nowMs() - startedAtMs) / 1000
        if (greeted === clients) resolve({ operations: clients, seconds, latenciesUs: [], lastEndMs: 0 })
      },
      onDone: () => {},
      onEnded: guest => {
        if (open.delete(guest)) lastEndMs = nowMs()
      },
      onFailed: fail,
    }
    for (let count = 0; count < OPENING; count += 1) begin()
  })
}

async function untilClosed(): Promise<Answer> {
  const untilMs = nowMs() + CLOSED_WITHIN_MS
  while (open.size > 0) {
    if (nowMs() > untilMs) fail(new Error(`${open.size} sessions have not ended`))
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return { operations: 0, seconds: 0, latenciesUs: [], lastEndMs }
}

function run(job: Job): Promise<Answer> {
  if (job.kind === 'echo') return load(job, job.clients)
  if (job.kind === 'down' || job.kind === 'up') return load(job, 1)
  if (job.kind === 'connects') return connects(job, job.clients)
  if (job.kind === 'open') return openSessions(job, job.clients)
  if (job.kind === 'closed') return untilClosed()
  for (const guest of open) guest.drop()
  open.clear()
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
