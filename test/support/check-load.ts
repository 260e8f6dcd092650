// A load balancer's checks at a steady pace, as a process of its own: what the tests' process does meanwhile must not show in
// the times. Each check goes to the member and, at the same moment, to a server that does nothing but answer, so that a busy
// machine shows in both. Run with: address, port, method, target, checks a second,
// seconds. Prints one line of JSON.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CheckTimes, PacedChecks } from './check-times.ts'

const ANSWER_MS = 5_000
/** Not counted: this program warms up. */
const WARM_UP_SECONDS = 1
const [address = '', port = '', method = '', target = '', perSecond = '', seconds = ''] =
  process.argv.slice(2)

if (process.send === undefined) await load()
else answerOnly(process.send.bind(process))

/** The server that does nothing else. */
function answerOnly(tell: (port: unknown) => void): void {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\n'))
  })
  server.listen(0, '127.0.0.1', () => tell(server.address()))
  process.on('disconnect', () => process.exit(0))
}

/** One check as HAProxy sends it; resolves with the code (0: none) when the other side has closed, its document read. */
function check(host: string, at: number): Promise<number> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect(at, host, () => socket.write(`${method} ${target} HTTP/1.0\r\n\r\n`))
    socket.setTimeout(ANSWER_MS, () => socket.destroy())
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(Number(text.split(' ', 2)[1] ?? 0)))
  })
}

async function load(): Promise<void> {
  const idler = fork(import.meta.filename)
  const [listening] = (await once(idler, 'message')) as [{ readonly port: number }]
  const ofMember: Kept = { tookMs: [], codes: {} }
  const ofNothing: Kept = { tookMs: [], codes: {} }
  const calls: Promise<void>[] = []
  const beganMs = performance.now()
  const uncounted = WARM_UP_SECONDS * Number(perSecond)
  for (let n = -uncounted; n < Number(seconds) * Number(perSecond); n += 1) {
    if (n === 0) for (const kept of [ofMember, ofNothing]) kept.tookMs.length = 0
    const waitMs = beganMs + ((n + uncounted) * 1000) / Number(perSecond) - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    calls.push(timed(ofMember, address, Number(port)), timed(ofNothing, '127.0.0.1', listening.port))
  }
  await Promise.all(calls)
  idler.disconnect()
  const result: PacedChecks = { member: sorted(ofMember), nothing: sorted(ofNothing) }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

interface Kept {
  readonly tookMs: number[]
  readonly codes: Record<string, number>
}

async function timed({ tookMs, codes }: Kept, host: string, at: number): Promise<void> {
  const beganMs = performance.now()
  const code = await check(host, at)
  tookMs.push(performance.now() - beganMs)
  codes[code] = (codes[code] ?? 0) + 1
}

function sorted({ tookMs, codes }: Kept): CheckTimes {
  return { tookMs: tookMs.toSorted((a, b) => a - b), codes }
}
