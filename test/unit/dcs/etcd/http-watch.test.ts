// The watch over HTTP, with a gateway that a test plays; and the size that the transport is kept at.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import type { Dispatcher } from 'undici'
import { HttpWatch } from '../../../../src/dcs/etcd/http-watch.ts'
import type { Answered } from '../../../../src/dcs/etcd/rpc.ts'

const SOURCES = new URL('../../../../src/dcs/etcd/', import.meta.url)
const LINES_MAX = 350
const LOOKS_PER_RENEWAL = 5

test('the HTTP transport stays under 350 lines', async () => {
  const files = (await readdir(SOURCES)).filter(name => name.startsWith('http'))
  assert.deepEqual(files.sort(), ['http-json.ts', 'http-watch.ts', 'http.ts'])
  const texts = await Promise.all(files.map(name => readFile(new URL(name, SOURCES), 'utf8')))
  const lines = texts.reduce((sum, text) => sum + text.split('\n').length - 1, 0)
  assert.ok(lines < LINES_MAX, `${lines} lines`)
})

const pause = () => new Promise(resolve => setImmediate(resolve))

/** A watch whose streams and looks stay open until they are given up. */
async function watching() {
  const ended = new AbortController()
  const streams: { readonly body: PassThrough; readonly signal: AbortSignal }[] = []
  const looks: AbortSignal[] = []
  const told: string[] = []
  const watch = new HttpWatch(
    {
      from: undefined,
      signal: ended.signal,
      open: async (_from, signal) => {
        const body = new PassThrough()
        signal.addEventListener('abort', () => body.destroy(new Error('aborted')), { once: true })
        streams.push({ body, signal })
        return { statusCode: 200, body } as unknown as Dispatcher.ResponseData
      },
      look: signal => {
        looks.push(signal)
        return new Promise<Answered>(() => {})
      },
    },
    {
      onMessage: ({ isCreated, events }) => void told.push(isCreated ? 'created' : `${events.length} events`),
      onError: error => void told.push(String(error)),
      onEnd: () => void told.push('end'),
    },
  )
  const created = async (stream: (typeof streams)[number] | undefined) => {
    const header = { cluster_id: '1', member_id: '1', revision: '5', raft_term: '2' }
    stream?.body.write(`${JSON.stringify({ result: { header, created: true } })}\n`)
    await pause()
    await pause()
  }
  await pause()
  await created(streams[0])
  return { watch, ended, streams, looks, told, created }
}

test('a question for a sign of life that was not answered ends with the next one: none are left over', async () => {
  const { watch, looks } = await watching()
  for (let asked = 1; asked < LOOKS_PER_RENEWAL; asked += 1) watch.askForLife()
  assert.equal(looks.length, LOOKS_PER_RENEWAL - 1)
  assert.deepEqual(
    looks.map(signal => signal.aborted),
    [true, true, true, false],
  )
  watch.cancel()
  assert.equal(looks.at(-1)?.aborted, true)
})

test('a renewal takes the place of the stream before it when it is confirmed, and lives on', async () => {
  const { watch, streams, told, created } = await watching()
  for (let asked = 1; asked <= LOOKS_PER_RENEWAL; asked += 1) watch.askForLife()
  await pause()
  assert.equal(streams.length, 2)
  assert.equal(streams[0]?.signal.aborted, false, 'until then the old one tells')
  await created(streams[1])
  assert.deepEqual([streams[0]?.signal.aborted, streams[1]?.signal.aborted], [true, false])
  watch.askForLife()
  assert.equal(streams[1]?.signal.aborted, false)
  assert.deepEqual(told, ['created', '0 events'])
  watch.cancel()
})

test('the end of the call ends the stream, its renewal and the question, and tells nothing', async () => {
  const { watch, ended, streams, told } = await watching()
  for (let asked = 1; asked <= LOOKS_PER_RENEWAL; asked += 1) watch.askForLife()
  await pause()
  ended.abort()
  await pause()
  assert.deepEqual(
    streams.map(({ signal }) => signal.aborted),
    [true, true],
  )
  assert.deepEqual(told, ['created'])
})
