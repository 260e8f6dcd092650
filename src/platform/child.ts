// Runs another program with a deadline and bounded output. For tools (pg_controldata, pg_rewind, ip), not for servers.

import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import type { Deadline } from './deadline.ts'
import { UserError } from './errors.ts'

/** How the program ended. `code` is undefined when a signal or the deadline ended it. */
export interface ChildResult {
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
  readonly timedOut: boolean
  readonly stdout: string
  readonly stderr: string
}

export interface ChildOptions {
  readonly by: Deadline
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly input?: string
  readonly signal?: AbortSignal
  /**
   * The kernel kills the program when we end, however we end. For tools that write: one that goes on alone would meet the
   * next one at the same files. What the program itself started and detached is not reached.
   */
  readonly diesWithUs?: boolean
  /** Called with the pid as soon as the program runs. */
  readonly onStart?: (pid: number) => void
  /** Called with what the program says on stderr as it comes; the result then has the end of it, not its beginning. */
  readonly onStderr?: (text: string) => void
}

const OUTPUT_BYTES_MAX = 1024 * 1024
const END_CHARS_MAX = 64 * 1024
/** How long a killed program gets to disappear. One that hangs in the kernel (dead storage) never does. */
const GONE_GRACE_MS = 100

/**
 * Runs `program` in a process group of its own and waits for it. At the deadline, or when the signal aborts, the whole
 * group gets SIGKILL and the result says so, at most 100 ms later, even if the kernel does not let the process go.
 * Output beyond 1 MiB per stream is read and thrown away.
 * Rejects only when the program cannot be started (ENOENT, EACCES). With `diesWithUs` it must be a path, not a name.
 */
export async function runChild(
  program: string,
  args: readonly string[],
  options: ChildOptions,
): Promise<ChildResult> {
  if (options.diesWithUs !== true) return runWords([program, ...args], options)
  await access(program, constants.X_OK)
  return runWords([...DIES_WITH_US, program, ...args], options).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    throw new UserError(`${DIES_WITH_US[0]} is missing: install the package util-linux`)
  })
}

/** Takes no step of its own: it sets the mark, which outlives exec, and becomes the program with the same pid. */
const DIES_WITH_US = ['setpriv', '--pdeathsig', 'KILL', '--']

function runWords([program = '', ...args]: readonly string[], options: ChildOptions): Promise<ChildResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      detached: true,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    let timedOut = false
    let grace: NodeJS.Timeout | undefined
    const killGroup = () => {
      timedOut = true
      if (child.pid !== undefined) killQuietly(-child.pid)
      grace ??= setTimeout(() => settle(null, null), GONE_GRACE_MS)
    }
    const timer = setTimeout(killGroup, Math.min(options.by.remainingMs(), 2 ** 31 - 1))
    options.signal?.addEventListener('abort', killGroup, { once: true })
    const stdout = collect(child.stdout)
    const { onStderr } = options
    const stderr = onStderr === undefined ? collect(child.stderr) : listen(child.stderr, onStderr)
    const cleanUp = () => {
      clearTimeout(timer)
      clearTimeout(grace)
      options.signal?.removeEventListener('abort', killGroup)
    }
    child.on('spawn', () => {
      if (child.pid !== undefined) options.onStart?.(child.pid)
      if (options.signal?.aborted === true) killGroup()
    })
    child.on('error', error => {
      cleanUp()
      reject(error)
    })
    const settle = (code: number | null, signal: NodeJS.Signals | null) => {
      cleanUp()
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.unref()
      resolve({
        code: code ?? undefined,
        signal: signal ?? undefined,
        timedOut,
        stdout: stdout(),
        stderr: stderr(),
      })
    }
    child.on('close', settle)
    if (options.input !== undefined) {
      child.stdin?.on('error', () => {})
      child.stdin?.end(options.input)
    }
  })
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream?.on('data', (chunk: Buffer) => {
    if (bytes < OUTPUT_BYTES_MAX) chunks.push(chunk)
    bytes += chunk.length
  })
  return () => Buffer.concat(chunks).toString('utf8').slice(0, OUTPUT_BYTES_MAX)
}

function listen(stream: NodeJS.ReadableStream | null, onText: (text: string) => void): () => string {
  let end = ''
  stream?.on('data', (chunk: Buffer) => {
    const text = chunk.toString('utf8')
    end = (end + text).slice(-END_CHARS_MAX)
    onText(text)
  })
  return () => end
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // The group is already gone: that is what we want.
  }
}
