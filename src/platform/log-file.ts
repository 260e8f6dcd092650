// A log in files: written behind a bounded queue, renamed when it has its size. A disk that hangs or is full costs counted
// lines, never the loop and never memory.

import { type FileHandle, open, rename } from 'node:fs/promises'

export interface LogFileOptions {
  readonly path: string
  /** At this size the file becomes `.1`, `.1` becomes `.2`, and so on. */
  readonly bytesMax: number
  /** How many old ones stay; 0: the file is emptied. */
  readonly oldFiles: number
  /** Lines that may wait for the disk. */
  readonly linesMax: number
  /** Of new files, as chmod takes it; undefined: what the process's umask leaves of 0644. */
  readonly mode: number | undefined
}

const LINE_BYTES_MAX = 16 * 1024
const RETRY_MS = 1_000

export class LogFile {
  #options: LogFileOptions
  #handle: FileHandle
  #size: number
  #waiting: string[] = []
  #isWriting = false
  #isClosed = false
  #lost = 0
  #retryAtMs = 0

  private constructor(options: LogFileOptions, handle: FileHandle, size: number) {
    this.#options = options
    this.#handle = handle
    this.#size = size
  }

  /** Opens the file for lines at its end. Rejects when it cannot be written. */
  static async open(options: LogFileOptions): Promise<LogFile> {
    const handle = await openToAppend(options)
    return new LogFile(options, handle, (await handle.stat()).size)
  }

  get path(): string {
    return this.#options.path
  }

  /** Lines that wait for the disk. */
  get queued(): number {
    return this.#waiting.length
  }

  /** Lines that were given up since the start. */
  get lost(): number {
    return this.#lost
  }

  /** Sizes and bounds may change; the path stays. */
  configure(options: Omit<LogFileOptions, 'path'>): void {
    this.#options = { ...options, path: this.#options.path }
  }

  /** Takes a line, with its end; returns at once. */
  write(line: string): void {
    if (this.#isClosed || this.#waiting.length >= this.#options.linesMax) {
      this.#lost += 1
      return
    }
    this.#waiting.push(line.length > LINE_BYTES_MAX ? `${line.slice(0, LINE_BYTES_MAX)}...\n` : line)
    if (!this.#isWriting && performance.now() >= this.#retryAtMs) void this.#drain()
  }

  /** Writes what waits and closes the file; waits for the disk as long as it takes, so give it a deadline. */
  async close(): Promise<void> {
    this.#isClosed = true
    while (this.#isWriting) await new Promise(resolve => setTimeout(resolve, 5))
    await this.#drain()
    await this.#handle.close()
  }

  async #drain(): Promise<void> {
    this.#isWriting = true
    try {
      while (this.#waiting.length > 0) {
        const lines = this.#waiting.slice()
        const bytes = Buffer.from(lines.join(''))
        if (this.#size > 0 && this.#size + bytes.length > this.#options.bytesMax) await this.#rotate()
        await this.#handle.appendFile(bytes)
        this.#size += bytes.length
        this.#waiting.splice(0, lines.length)
      }
    } catch {
      // A full disk: the lines wait, as many as may, and the next one tries again after a while.
      this.#retryAtMs = performance.now() + RETRY_MS
    } finally {
      this.#isWriting = false
    }
  }

  async #rotate(): Promise<void> {
    const { path, oldFiles } = this.#options
    if (oldFiles === 0) {
      await this.#handle.truncate(0)
      this.#size = 0
      return
    }
    for (let number = oldFiles - 1; number >= 1; number -= 1)
      await rename(`${path}.${number}`, `${path}.${number + 1}`).catch(() => {})
    await rename(path, `${path}.1`)
    const fresh = await openToAppend(this.#options)
    await this.#handle.close().catch(() => {})
    this.#handle = fresh
    this.#size = 0
  }
}

async function openToAppend({ path, mode }: LogFileOptions): Promise<FileHandle> {
  const handle = await open(path, 'a', mode ?? 0o644)
  if (mode !== undefined) await handle.chmod(mode).catch(() => {})
  return handle
}
