// One postmaster process: found, started, signalled, waited for. It lives in a session of its own and survives us.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Clock } from '../platform/clock.ts'
import type { Deadline } from '../platform/deadline.ts'
import { HaError } from '../platform/errors.ts'
import { postmasterEnvironment } from './environment.ts'
import type { PostmasterPid } from './postmaster-pid.ts'
import { sendSignal, sharesMounts, statOf, workingDirectoryOf } from './procfs.ts'

const SHELL = '/bin/sh'
const POLL_MS = 20
/** Of libpq, which a standby's receiver uses. */
export const SERVICE_FILE_VARIABLE = 'PGSERVICEFILE'
const SERVER_COMMANDS = new Set(['postgres', 'postmaster'])

/**
 * Opens the log and becomes the postmaster (same pid). The child opens the log, not we: its storage may hang. A log over
 * 64 MB is put aside first; when the first place cannot be written to, the second is used. Rights over the network's addresses,
 * which an agent with a virtual IP has from its unit, are not the server's: whoever may run programs in it would have them.
 */
const LAUNCH = `
umask 077
for log in "$1" "$2"; do
  if ( : >> "$log" ) 2>/dev/null; then
    [ "$(stat -c %s "$log")" -lt 67108864 ] || mv -f "$log" "$log.1"
    exec >> "$log" 2>&1
    break
  fi
done
shift 2
exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"`

export interface LaunchOptions {
  readonly postgres: string
  readonly dataDir: string
  readonly configFile: string
  /** Given as --name=value, so that ALTER SYSTEM cannot change them. */
  readonly parameters: Readonly<Record<string, string>>
  readonly logFile: string
  readonly spareLogFile: string
  /** The file with the services that a standby's receiver may name; undefined leaves the environment as it is. */
  readonly serviceFile?: string | undefined
}

/** A postmaster that was seen alive. Pid and start time together name one process for ever. */
export class Postmaster {
  readonly pid: number
  /** Our own child, while it is one; undefined for a postmaster that we found. */
  readonly #child: ChildProcess | undefined
  #startTicks: string | undefined
  #isGone = false

  private constructor(pid: number, startTicks: string | undefined, child: ChildProcess | undefined) {
    this.pid = pid
    this.#startTicks = startTicks
    this.#child = child
    child?.once('exit', () => {
      this.#isGone = true
    })
  }

  /**
   * Starts the server, without waiting until it takes connections. Returns at once, so that a fence knows the pid from
   * the first moment on. The shell starts in `/`: node waits for a child's chdir, and the data directory may hang.
   */
  static launch(options: LaunchOptions): Postmaster {
    const parameters = Object.entries(options.parameters).map(([name, value]) => `--${name}=${value}`)
    const logs = [options.logFile, options.spareLogFile]
    const server = [
      options.postgres,
      '-D',
      options.dataDir,
      `--config_file=${options.configFile}`,
      ...parameters,
    ]
    const child = spawn(SHELL, ['-c', LAUNCH, 'sh', ...logs, ...server], {
      cwd: '/',
      detached: true,
      env: {
        ...postmasterEnvironment(),
        ...(options.serviceFile === undefined ? {} : { [SERVICE_FILE_VARIABLE]: options.serviceFile }),
      },
      stdio: 'ignore',
    })
    child.on('error', () => {})
    child.unref()
    if (child.pid === undefined) throw new HaError('E_SPAWN', `cannot start ${SHELL} for ${options.postgres}`)
    return new Postmaster(child.pid, undefined, child)
  }

  /**
   * The running server that postmaster.pid names: undefined when the file is left over. The pid may belong to somebody
   * else by now, so the process must be a server and work in this data directory.
   */
  static async find(file: PostmasterPid, realPath: string): Promise<Postmaster | undefined> {
    if (file.pid === process.pid || file.pid === process.ppid) return undefined
    const stat = await statOf(file.pid)
    if (stat === undefined || stat.state === 'Z' || !SERVER_COMMANDS.has(stat.command)) return undefined
    if ((await workingDirectoryOf(file.pid)) !== realPath) return undefined
    return new Postmaster(file.pid, stat.startTicks, undefined)
  }

  /** Surely no server of this directory: gone, another program, or a server that works elsewhere in our own file tree. */
  static async isForeign(file: PostmasterPid, realPath: string): Promise<boolean> {
    const stat = await statOf(file.pid)
    if (stat === undefined || stat.state === 'Z' || !SERVER_COMMANDS.has(stat.command)) return true
    if (!(await sharesMounts(file.pid))) return false
    const workingDirectory = await workingDirectoryOf(file.pid)
    return workingDirectory !== undefined && workingDirectory !== realPath
  }

  /** Does this very process still exist? A zombie does not; one that could not be looked at does. */
  async isAlive(): Promise<boolean> {
    if (this.#isGone) return false
    try {
      const stat = await statOf(this.pid)
      this.#startTicks ??= stat?.startTicks
      if (stat === undefined || stat.state === 'Z' || stat.startTicks !== this.#startTicks)
        this.#isGone = true
    } catch {
      // No news is not bad news: the next look tells.
    }
    return !this.#isGone
  }

  /** Sends a signal at once. False when the process is gone. */
  signal(signal: NodeJS.Signals): boolean {
    return !this.#isGone && sendSignal(this.pid, signal)
  }

  /** Waits until the process is gone. False at the deadline. */
  async waitGone(clock: Clock, by: Deadline): Promise<boolean> {
    while (await this.isAlive()) {
      if (by.isOver()) return false
      await clock.sleep(POLL_MS)
    }
    return true
  }

  /** Calls `listener` once the process is gone: at once for our child, within `pollMs` for one that we found. */
  onGone(clock: Clock, pollMs: number, listener: () => void): () => void {
    let isCancelled = false
    const tell = () => {
      if (!isCancelled) listener()
      isCancelled = true
    }
    if (this.#child !== undefined) {
      this.#child.once('exit', tell)
    } else {
      const look = async () => {
        if (isCancelled) return
        if (await this.isAlive()) clock.setTimer(pollMs, () => void look())
        else tell()
      }
      void look()
    }
    return () => {
      isCancelled = true
    }
  }
}
