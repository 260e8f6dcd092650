// A watch over the HTTP gateway: one request whose answer does not end, a JSON object on each line. Nothing more can be said
// on it, so a sign of life is a request of its own; now and then the watch itself is opened anew, because a connection can
// be dead while new ones work.

import type { Dispatcher } from 'undici'
import { isObject, type JsonObject } from '../../cluster/json.ts'
import { errorOf, headerOf, listOf, parseLine, storedKey } from './http-json.ts'
import type { Answered, WatchConnection, WatchHandlers, WatchMessage } from './rpc.ts'

export interface HttpWatchParts {
  /** Sends the request for a watch from this revision. */
  readonly open: (from: bigint | undefined, signal: AbortSignal) => Promise<Dispatcher.ResponseData>
  /** A small request to the same member. */
  readonly look: (signal: AbortSignal) => Promise<Answered>
  readonly from: bigint | undefined
  readonly signal: AbortSignal
}

/** Every so many signs of life the watch itself is opened anew. */
const LOOKS_PER_RENEWAL = 5

export class HttpWatch implements WatchConnection {
  readonly #parts: HttpWatchParts
  readonly #handlers: WatchHandlers
  #current = new AbortController()
  /** The question for a sign of life, or the stream that is to take the current one's place. */
  #next = new AbortController()
  #from: bigint | undefined
  #looks = 0
  #isOver = false

  constructor(parts: HttpWatchParts, handlers: WatchHandlers) {
    this.#parts = parts
    this.#handlers = handlers
    this.#from = parts.from
    parts.signal.addEventListener('abort', () => this.cancel(), { once: true })
    void this.#run(this.#current, false)
  }

  askForLife(): void {
    this.#looks += 1
    if (this.#next !== this.#current) this.#next.abort()
    this.#next = new AbortController()
    if (this.#looks % LOOKS_PER_RENEWAL === 0) return void this.#run(this.#next, true)
    const onAlive = ({ header }: Answered) =>
      this.#tell({ header, isCreated: false, canceled: undefined, events: [] })
    this.#parts.look(this.#next.signal).then(onAlive, () => {})
  }

  cancel(): void {
    this.#isOver = true
    for (const one of [this.#current, this.#next]) one.abort()
  }

  /** Reads one stream to its end. A renewal takes the place of the stream before it when it is confirmed. */
  async #run(stream: AbortController, isRenewal: boolean): Promise<void> {
    try {
      const { statusCode, body } = await this.#parts.open(this.#from, stream.signal)
      if (statusCode !== 200) throw errorOf(parseLine(await body.text()), statusCode)
      for await (const line of linesOf(body)) this.#onLine(line, stream, isRenewal)
      if (this.#current === stream && !this.#isOver) this.#handlers.onEnd()
    } catch (error) {
      if (this.#current === stream && !this.#isOver) this.#handlers.onError(error)
    }
  }

  #onLine(line: string, stream: AbortController, isRenewal: boolean): void {
    const parsed = parseLine(line)
    const { result } = parsed
    if (!isObject(result)) throw errorOf(parsed, 200)
    const message = messageOf(result)
    if (this.#current !== stream) {
      if (!message.isCreated) return
      this.#current.abort()
      this.#current = stream
    }
    // Whole revisions come in order, so everything up to this one has been told.
    const newest = message.events.at(-1)?.kv.modRevision
    this.#from = newest === undefined ? (this.#from ?? message.header.revision + 1n) : newest + 1n
    this.#tell(isRenewal ? { ...message, isCreated: false } : message)
  }

  #tell(message: WatchMessage): void {
    if (!this.#isOver) this.#handlers.onMessage(message)
  }
}

function messageOf(result: JsonObject): WatchMessage {
  const { cancel_reason: reason = '', compact_revision: compacted = 0 } = result
  const canceled = { reason: String(reason), compactRevision: BigInt(String(compacted)) }
  return {
    header: headerOf(result),
    isCreated: result['created'] === true,
    canceled: result['canceled'] === true ? canceled : undefined,
    events: listOf(result['events']).map(({ type, kv }) => ({
      kind: type === 'DELETE' ? ('delete' as const) : ('put' as const),
      kv: storedKey(isObject(kv) ? kv : {}),
    })),
  }
}

/** Lines of a stream, without empty ones. */
async function* linesOf(body: AsyncIterable<Buffer>): AsyncIterable<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') yield line
  }
  if (rest.trim() !== '') yield rest
}
