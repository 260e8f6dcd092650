// Runs a script of the operator's: its output goes where ours goes, it is waited for without blocking, and it can be ended
// together with what it started.

import { spawn } from 'node:child_process'

/** How it ended. `says` is one line for the log. */
export type ScriptEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly says: string }
  | { readonly kind: 'not-run'; readonly says: string }

/** How long a killed script gets to disappear. One that hangs in the kernel never does. */
const GONE_GRACE_MS = 100

/** Variables that are ours alone: passwords among them, and systemd's socket. */
const OURS = /^(PATRONI_|PGHERD_|NOTIFY_SOCKET$)/

/**
 * Runs the program in a process group of its own, with our environment and working directory. When `signal` aborts the
 * whole group gets SIGKILL. Resolves when the program itself has ended, whatever it left running on purpose. It does not
 * keep our process alive and outlives it. Never rejects.
 */
export function runScript(words: readonly string[], signal: AbortSignal): Promise<ScriptEnd> {
  const [program, ...args] = words
  if (program === undefined || program === '')
    return Promise.resolve({ kind: 'not-run', says: 'its command line is empty' })
  if (signal.aborted) return Promise.resolve({ kind: 'killed', says: 'ended before it began' })
  return new Promise(resolve => {
    let child: ReturnType<typeof spawn>
    try {
      child = spawn(program, args, {
        detached: true,
        stdio: ['ignore', 'inherit', 'inherit'],
        env: scriptEnvironment(),
      })
    } catch (error) {
      resolve({ kind: 'not-run', says: reason(error, program) })
      return
    }
    child.unref()
    let grace: NodeJS.Timeout | undefined
    const kill = () => {
      killGroup(child.pid)
      grace ??= setTimeout(() => settle({ kind: 'killed', says: 'does not go away' }), GONE_GRACE_MS)
    }
    const settle = (end: ScriptEnd) => {
      clearTimeout(grace)
      signal.removeEventListener('abort', kill)
      resolve(end)
    }
    signal.addEventListener('abort', kill, { once: true })
    child.on('error', error => settle({ kind: 'not-run', says: reason(error, program) }))
    child.on('exit', (code, by) => {
      if (code === null) settle({ kind: 'killed', says: `ended by ${by}` })
      else settle({ kind: 'exited', code })
    })
  })
}

/** What a script inherits. */
export function scriptEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !OURS.test(name)))
}

function reason(error: unknown, program: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return `${program} is not there`
  if (code === 'EACCES') return `${program} may not be run`
  return `${program} cannot be run: ${code ?? String(error)}`
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group is already gone: that is what we want.
  }
}
