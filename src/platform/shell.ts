// A shell that stays, for small scripts that are run again and again. Starting a program from a process of our size copies
// its page tables and stops the event loop for several milliseconds; a shell of one megabyte forks at a tenth of that.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import type { ChildResult } from './child.ts'
import type { Deadline } from './deadline.ts'

const SHELL = '/bin/sh'
const OUTPUT_BYTES_MAX = 1024 * 1024
/** Longer than any pause between two turns of a loop; a shell that nobody uses any more goes after it. */
const IDLE_MS = 30_000
/** How long a killed shell gets to disappear. */
const GONE_GRACE_MS = 100
/** More than a marker's length: it may come in two pieces. */
const TAIL_BYTES = 128

/** What the script gets. */
export interface ScriptOptions {
  readonly by: Deadline
  /** `$1`, `$2`... */
  readonly args: readonly string[]
  /** Its standard input; nothing by default. Without NUL bytes. */
  readonly input?: string
}

/**
 * Runs one script at a time in a subshell of a shell that is kept. When a script misses its deadline, the shell and all
 * that it started get SIGKILL, and the next script gets a new one.
 */
export class Shell {
  readonly #env: () => NodeJS.ProcessEnv
  #process: ShellProcess | undefined
  #isBusy = false
  #idle: NodeJS.Timeout | undefined

  /** `env` is asked for each new shell. */
  constructor(env: () => NodeJS.ProcessEnv) {
    this.#env = env
  }

  /** Whether a script runs. Then `run` rejects. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /**
   * Resolves when the script has ended or its deadline has passed; `group` is the process group it ran in, for whoever
   * wants to know whether something of it is left. Rejects when no shell can be started or a script runs already.
   */
  async run(script: string, options: ScriptOptions): Promise<ChildResult & { readonly group: number }> {
    if (this.#isBusy) throw new Error('the shell runs another script')
    this.#isBusy = true
    clearTimeout(this.#idle)
    try {
      if (this.#process?.isAlive !== true) this.#process = await ShellProcess.start(this.#env())
      const { group } = this.#process
      return { ...(await this.#process.run(script, options)), group }
    } finally {
      this.#isBusy = false
      this.#idle = setTimeout(() => this.close(), IDLE_MS).unref()
    }
  }

  /** The shell ends when its script has ended. */
  close(): void {
    clearTimeout(this.#idle)
    this.#process?.end()
    this.#process = undefined
  }
}

class ShellProcess {
  readonly group: number
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  #isAlive = true

  private constructor(child: ChildProcessByStdio<Writable, Readable, Readable>, group: number) {
    this.#child = child
    this.group = group
    // It must not keep us alive: it ends by itself when our end of the pipe is closed.
    child.unref()
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      stream.on('error', () => {})
      keepNobodyAlive(stream)
    }
    child.on('close', () => {
      this.#isAlive = false
    })
  }

  static start(env: NodeJS.ProcessEnv): Promise<ShellProcess> {
    return new Promise((resolve, reject) => {
      const child = spawn(SHELL, [], { detached: true, stdio: ['pipe', 'pipe', 'pipe'], env, cwd: '/' })
      child.on('error', reject)
      child.on('spawn', () => resolve(new ShellProcess(child, child.pid ?? 0)))
    })
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  end(): void {
    this.#child.stdin.end()
  }

  run(script: string, { by, args, input }: ScriptOptions): Promise<ChildResult> {
    // What a script prints cannot end in this: nobody knows it before.
    const mark = randomBytes(16).toString('hex')
    const child = this.#child
    return new Promise(resolve => {
      const outputs = [new MarkedOutput(child.stdout, mark), new MarkedOutput(child.stderr, mark)] as const
      const settle = (end: Pick<ChildResult, 'code' | 'signal' | 'timedOut'>) => {
        clearTimeout(timer)
        child.off('close', onClose)
        const [stdout, stderr] = outputs.map(output => output.end())
        resolve({ ...end, stdout: stdout ?? '', stderr: stderr ?? '' })
      }
      const onClose = (_code: number | null, signal: NodeJS.Signals | null) =>
        settle({ code: undefined, signal: signal ?? undefined, timedOut: false })
      const timer = setTimeout(
        () => {
          this.#kill()
          const late = { code: undefined, signal: undefined, timedOut: true }
          child.off('close', onClose)
          // One that hangs in the kernel (dead storage) never goes.
          const grace = setTimeout(() => settle(late), GONE_GRACE_MS)
          child.once('exit', () => {
            clearTimeout(grace)
            settle(late)
          })
        },
        Math.min(by.remainingMs(), 2 ** 31 - 1),
      )
      child.on('close', onClose)
      for (const output of outputs) {
        output.onMark = () => {
          const [{ code }, other] = outputs
          if (code === undefined || other.code === undefined) return
          settle({ code, signal: undefined, timedOut: false })
        }
      }
      if (this.isAlive) child.stdin.write(commandLine(script, args, input, mark))
      else onClose(null, null)
    })
  }

  #kill(): void {
    this.#isAlive = false
    try {
      process.kill(-this.group, 'SIGKILL')
    } catch {
      // The group is already gone: that is what we want.
    }
    for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream.destroy()
  }
}

/** The script in a subshell that cannot read the shell's own input, and its exit code after the mark on both streams. */
function commandLine(
  script: string,
  args: readonly string[],
  input: string | undefined,
  mark: string,
): string {
  const source = input === undefined ? '</dev/null' : ''
  const feed = input === undefined ? '' : `printf %s ${quoted(input)} | `
  const words = args.map(quoted).join(' ')
  return `${feed}( set -- ${words}\n${script}\n) ${source}; c=$?; printf '\\n%s %s\\n' ${mark} $c; printf '\\n%s %s\\n' ${mark} $c >&2\n`
}

/** One word for the shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Pipes of a child are sockets; their types do not tell. */
function keepNobodyAlive(stream: object): void {
  if ('unref' in stream && typeof stream.unref === 'function') stream.unref()
}

/** What comes on one stream until the mark. */
class MarkedOutput {
  /** The exit code behind the mark; undefined before it. */
  code: number | undefined
  onMark = () => {}
  readonly #stream: Readable
  readonly #mark: RegExp
  #chunks: Buffer[] = []
  #bytes = 0
  #tail = ''
  readonly #onData = (chunk: Buffer) => this.#take(chunk)

  constructor(stream: Readable, mark: string) {
    this.#stream = stream
    this.#mark = new RegExp(`\\n${mark} (\\d+)\\n$`)
    stream.on('data', this.#onData)
  }

  /** The text before the mark, at most 1 MiB of it. */
  end(): string {
    this.#stream.off('data', this.#onData)
    const all = Buffer.concat(this.#chunks)
    const markBytes = this.#mark.exec(this.#tail)?.[0].length ?? 0
    const length = Math.min(this.#bytes - markBytes, OUTPUT_BYTES_MAX)
    return all.subarray(0, length).toString('utf8')
  }

  #take(chunk: Buffer): void {
    if (this.#bytes < OUTPUT_BYTES_MAX) this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#tail = (this.#tail + chunk.toString('latin1')).slice(-TAIL_BYTES)
    const found = this.#mark.exec(this.#tail)
    if (found === null) return
    this.code = Number(found[1])
    this.onMark()
  }
}
