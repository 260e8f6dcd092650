// Clients that ask for more than they read: what the proxy keeps of it, and whether each gets its own bytes in the end.

import assert from 'node:assert/strict'
import { createHash, type Hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../src/demo/wait.ts'
import { message } from '../unit/proxy/bytes.ts'
import { Stand } from './proxy-rig.ts'
import { login, query } from './proxy-wire.ts'

const CLIENTS = 50
/** 50 times 655 rows of 32 KB: 1 GB and a little. */
const ROWS = 655
const REPEATS = 1_000
const STALL_MS = 3_000
const PAUSE_MS = 10
/** What its process may grow by for each session that does not read, garbage included; measured is a quarter of it. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024

const stand = await Stand.open({ after }, { members: 1 })
await stand.settle()

/** Resident memory of the proxy's process. */
async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${stand.proxy.server.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** One client's answer: everything between the head of the COPY and its end, as a hash. */
class Reader {
  readonly socket: Socket
  readonly #hash: Hash = createHash('sha256')
  readonly #expected: string
  readonly #lengthBytes: number
  #head = Buffer.alloc(0)
  #hasHead = false
  readBytes = 0

  constructor(socket: Socket, seed: number) {
    this.socket = socket
    const row = `${createHash('md5').update(`${seed}`).digest('hex').repeat(REPEATS)}\n`
    const expected = createHash('sha256')
    const data = message('d', row)
    for (let count = 0; count < ROWS; count += 1) expected.update(data)
    this.#expected = expected.digest('hex')
    this.#lengthBytes = ROWS * data.length
    socket.removeAllListeners('data')
    socket.pause()
    socket.on('data', (chunk: Buffer) => {
      this.#take(chunk)
      socket.pause()
      setTimeout(() => socket.resume(), PAUSE_MS)
    })
    const sql = `COPY (SELECT repeat(md5('${seed}'), ${REPEATS}) FROM generate_series(1, ${ROWS})) TO STDOUT`
    socket.pause()
    socket.write(message('Q', `${sql}\0`))
  }

  get isWhole(): boolean {
    return this.readBytes === this.#lengthBytes
  }

  get isRight(): boolean {
    return this.#hash.copy().digest('hex') === this.#expected
  }

  #take(chunk: Buffer): void {
    let rest = chunk
    if (!this.#hasHead) {
      this.#head = Buffer.concat([this.#head, chunk])
      if (this.#head.length < 5) return
      // CopyOutResponse comes first, alone, and says how long it is.
      const headBytes = 1 + this.#head.readUInt32BE(1)
      if (this.#head.length < headBytes) return
      this.#hasHead = true
      rest = this.#head.subarray(headBytes)
    }
    const wanted = rest.subarray(0, this.#lengthBytes - this.readBytes)
    this.#hash.update(wanted)
    this.readBytes += wanted.length
  }
}

test('fifty slow readers with 1 GB in flight: the proxy keeps little of it, serves others meanwhile, and each gets its own bytes', async t => {
  const clients = []
  for (let seed = 0; seed < CLIENTS; seed += 1) clients.push(await login(stand.write))
  const beforeBytes = await residentBytes()
  const readers = clients.map(({ socket }, seed) => new Reader(socket, seed))
  for (const { socket } of readers) socket.pause()
  await sleep(STALL_MS)
  const stalledBytes = await residentBytes()
  const askedAtMs = performance.now()
  const other = await login(stand.write)
  assert.match(await query(other, 'SELECT name FROM who'), /pg1/)
  const answeredMs = performance.now() - askedAtMs
  other.socket.destroy()
  for (const { socket } of readers) socket.resume()
  const startedAtMs = performance.now()
  let mostBytes = stalledBytes
  await waitFor('everybody to have everything', { withinMs: 240_000, everyMs: 200 }, async note => {
    mostBytes = Math.max(mostBytes, await residentBytes())
    const whole = readers.filter(({ isWhole }) => isWhole).length
    note(`${whole} of ${CLIENTS}, the proxy has ${mostBytes} bytes`)
    return whole === CLIENTS
  })
  const tookMs = performance.now() - startedAtMs
  const mb = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(0)} MB`
  const totalBytes = readers.reduce((sum, { readBytes }) => sum + readBytes, 0)
  t.diagnostic(
    `${mb(totalBytes)} read by ${CLIENTS} in ${Math.round(tookMs)} ms; the proxy had ${mb(beforeBytes)} before, ` +
      `${mb(stalledBytes)} while nobody read, ${mb(mostBytes)} at most; another client was served in ${Math.round(answeredMs)} ms`,
  )
  assert.ok(totalBytes >= 1e9)
  assert.ok(
    readers.every(({ isRight }) => isRight),
    'somebody got other bytes than its own',
  )
  assert.ok(stalledBytes - beforeBytes < CLIENTS * KEPT_BYTES_MAX, 'bytes that nobody reads are kept')
  for (const { socket } of readers) socket.destroy()
})
