// Keeps what happened: in memory for REST and ctl, and in a bounded file for the morning after. Never waits for the disk.

import { appendFile, rename, stat } from 'node:fs/promises'
import type { Clock } from './clock.ts'
import { Recent } from './recent.ts'

/** What the log adds to each entry. `id` grows by one within a process. */
export interface Stamp {
  readonly id: number
  readonly wallMs: number
  readonly monotonicMs: number
  readonly source: string
}

export interface EventLogOptions<D> {
  /** Name of the member or proxy that tells. */
  readonly source: string
  readonly clock: Clock
  /** JSON lines are appended here; at `fileBytesMax` the file is renamed to `<file>.1`. */
  readonly file?: string
  readonly onEvent?: (event: D & Stamp) => void
}

const KEPT_EVENTS = 10_000
const PENDING_LINES_MAX = 1_000
const FILE_BYTES_MAX = 8 * 1024 * 1024

export class EventLog<D extends object> {
  readonly #options: EventLogOptions<D>
  readonly #recent = new Recent<D & Stamp>(KEPT_EVENTS)
  #pending: string[] = []
  #isWriting = false
  /** The last write did not end well. */
  #isTorn = false
  #nextId = 1

  constructor(options: EventLogOptions<D>) {
    this.#options = options
  }

  /** Stamps and keeps the event. With a disk that hangs, lines beyond a bound stay in memory only. */
  record(draft: D): D & Stamp {
    const { clock, source, onEvent } = this.#options
    const stamp = { id: this.#nextId, wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs(), source }
    this.#nextId += 1
    const event = { ...draft, ...stamp }
    this.#recent.add(event)
    if (this.#options.file !== undefined && this.#pending.length < PENDING_LINES_MAX) {
      this.#pending.push(`${JSON.stringify(event, wholeNumbers)}\n`)
      if (!this.#isWriting) void this.#flush(this.#options.file)
    }
    onEvent?.(event)
    return event
  }

  /** The newest events, oldest first. */
  last(count?: number): readonly (D & Stamp)[] {
    return this.#recent.last(count)
  }

  async #flush(file: string): Promise<void> {
    this.#isWriting = true
    try {
      while (this.#pending.length > 0) {
        const lines = this.#pending.splice(0).join('')
        // Half a line may stand at the end of a file whose disk was full.
        const before = this.#isTorn ? '\n' : ''
        this.#isTorn = true
        await appendFile(file, `${before}${lines}`)
        this.#isTorn = false
        const { size } = await stat(file)
        if (size > FILE_BYTES_MAX) await rename(file, `${file}.1`)
      }
    } catch {
      // The file is a convenience: memory and the log line have the event already.
      this.#pending = []
    } finally {
      this.#isWriting = false
    }
  }
}

function wholeNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
