// The machine's watchdog as the kernel offers it (/dev/watchdog), and its stand-in, a named pipe. An open device resets the
// machine unless it is fed in time; closed without the word `V` it goes on counting. Decides nothing.
//
// A device may hang (a management controller that does not answer). Each call has a deadline and runs beside the event loop;
// one that misses it keeps its thread, so nothing else is asked of the device until it has returned.

import { close, constants, open, write } from 'node:fs'
import { promisify } from 'node:util'
import type { Deadline } from './deadline.ts'
import { HaError } from './errors.ts'
import { nativeLibrary } from './native.ts'

/** What a driver says of itself. */
export interface WatchdogInfo {
  readonly identity: string
  readonly canSetTimeout: boolean
  /** False where it was loaded with `nowayout`: once opened it counts until the machine is reset. */
  readonly canBeDisarmed: boolean
}

/** All calls reject with HaError E_WATCHDOG, a missed deadline with DeadlineError. */
export interface WatchdogDevice {
  /** The device starts to count. */
  open(by: Deadline): Promise<WatchdogInfo>
  /** Also feeds it. */
  setTimeoutSeconds(seconds: number, by: Deadline): Promise<void>
  /** The timeout in force: a driver may have taken another than was asked for. */
  timeoutSeconds(by: Deadline): Promise<number>
  keepalive(by: Deadline): Promise<void>
  /** Stops the counting, if the driver can be stopped, and lets the device go. */
  disarm(by: Deadline): Promise<void>
  /** A call has missed its deadline and has not returned. Such a process cannot end before it has, not even by SIGKILL. */
  readonly isStuck: boolean
}

const openFile = promisify(open)
const writeFile = promisify(write) as (
  descriptor: number,
  text: string,
) => Promise<{ readonly bytesWritten: number }>
const closeFile = promisify(close)

/** Not inherited by children: PostgreSQL must not keep the device open after our death. Without a reader a pipe is refused. */
const FLAGS = constants.O_WRONLY | constants.O_NONBLOCK

/** One call at a time. */
class Calls {
  #pending = 0

  get isStuck(): boolean {
    return this.#pending > 0
  }

  async run<T>(what: string, by: Deadline, call: () => Promise<T>): Promise<T> {
    if (this.#pending > 0) throw new HaError('E_WATCHDOG', 'an earlier call of the watchdog device hangs')
    this.#pending += 1
    const done = call().finally(() => {
      this.#pending -= 1
    })
    return by.run(what, () => done)
  }
}

abstract class FileDevice implements WatchdogDevice {
  protected readonly path: string
  protected descriptor: number | undefined
  readonly #calls = new Calls()

  constructor(path: string) {
    this.path = path
  }

  get isStuck(): boolean {
    return this.#calls.isStuck
  }

  async open(by: Deadline): Promise<WatchdogInfo> {
    let isLate = false
    const opened = this.call('open', by, async () => {
      const descriptor = await openFile(this.path, FLAGS)
      // Nobody waits for it any more: it must not count.
      if (isLate) await letGo(descriptor)
      else this.descriptor = descriptor
    })
    try {
      await opened
      return await this.info(by)
    } catch (error) {
      isLate = true
      await this.disarm(by).catch(() => {})
      throw error
    }
  }

  abstract setTimeoutSeconds(seconds: number, by: Deadline): Promise<void>
  abstract timeoutSeconds(by: Deadline): Promise<number>
  protected abstract info(by: Deadline): Promise<WatchdogInfo>

  keepalive(by: Deadline): Promise<void> {
    return this.say('1', by)
  }

  async disarm(by: Deadline): Promise<void> {
    const { descriptor } = this
    if (descriptor === undefined) return
    this.descriptor = undefined
    await this.call('disarm', by, () => letGo(descriptor))
  }

  protected say(text: string, by: Deadline): Promise<void> {
    return this.call('write', by, async () => {
      await writeFile(this.opened(), text)
    })
  }

  protected opened(): number {
    if (this.descriptor === undefined) throw new HaError('E_WATCHDOG', `${this.path} is not open`)
    return this.descriptor
  }

  protected async call<T>(what: string, by: Deadline, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#calls.run(`${what} of ${this.path}`, by, work)
    } catch (error) {
      if (!(error instanceof Error) || !('errnoName' in error || 'syscall' in error)) throw error
      throw new HaError('E_WATCHDOG', `${this.path}: ${what}: ${reasonOf(error)}`)
    }
  }
}

/** The letter that a driver takes for a farewell; a driver that knows none counts on. */
async function letGo(descriptor: number): Promise<void> {
  try {
    await writeFile(descriptor, 'V')
  } finally {
    await closeFile(descriptor)
  }
}

/** What is usually behind an error of a device, for whoever has to mend it. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there; is a driver loaded, softdog for example?',
  EACCES: 'this account may not write to it',
  EBUSY: 'somebody else holds it',
  ENXIO: 'nobody reads the pipe, or no driver is behind it',
}

function reasonOf(error: Error): string {
  const named = error as Error & { readonly errnoName?: string; readonly code?: string }
  const code = named.errnoName ?? named.code
  if (code === undefined) return error.message
  const reason = REASONS[code]
  return reason === undefined ? code : `${code} (${reason})`
}

/** linux/watchdog.h */
const GET_SUPPORT = 0x8028_5700
const SET_TIMEOUT = 0xc004_5706
const GET_TIMEOUT = 0x8004_5707
const INFO_BYTES = 40
const IDENTITY_OFFSET = 8
const HAS_SET_TIMEOUT = 0x80
const HAS_MAGIC_CLOSE = 0x100
const TIMEOUT_SECONDS_MAX = 0xffff

/** A device of the kernel. Throws HaError E_NO_NATIVE_CALLS where system calls are not available. */
export class LinuxWatchdog extends FileDevice {
  readonly #ioctl = nativeLibrary().bindWaiting(
    'int ioctl(int descriptor, unsigned long request, _Inout_ void *value)',
  )

  async setTimeoutSeconds(seconds: number, by: Deadline): Promise<void> {
    if (seconds < 1 || seconds > TIMEOUT_SECONDS_MAX)
      throw new HaError('E_WATCHDOG', `a watchdog cannot wait for ${seconds} s`)
    const value = Buffer.alloc(4)
    value.writeInt32LE(seconds)
    await this.#ask('set the timeout', SET_TIMEOUT, value, by)
  }

  async timeoutSeconds(by: Deadline): Promise<number> {
    const value = await this.#ask('read the timeout', GET_TIMEOUT, Buffer.alloc(4), by)
    return value.readInt32LE()
  }

  protected async info(by: Deadline): Promise<WatchdogInfo> {
    const info = await this.#ask('ask for its abilities', GET_SUPPORT, Buffer.alloc(INFO_BYTES), by)
    const options = info.readUInt32LE()
    const [identity = ''] = info.subarray(IDENTITY_OFFSET).toString('latin1').split('\0', 1)
    return {
      identity,
      canSetTimeout: (options & HAS_SET_TIMEOUT) !== 0,
      canBeDisarmed: (options & HAS_MAGIC_CLOSE) !== 0,
    }
  }

  async #ask(what: string, request: number, value: Buffer, by: Deadline): Promise<Buffer> {
    await this.call(what, by, async () => {
      await this.#ioctl(this.opened(), request, value)
    })
    return value
  }
}

const TESTING_TIMEOUT_SECONDS = 60

/** A named pipe that is told in text what a device would be told. */
export class TestingWatchdog extends FileDevice {
  #timeoutSeconds = TESTING_TIMEOUT_SECONDS

  async setTimeoutSeconds(seconds: number, by: Deadline): Promise<void> {
    await this.say(`Ctimeout=${seconds}\n`, by)
    this.#timeoutSeconds = seconds
  }

  timeoutSeconds(): Promise<number> {
    return Promise.resolve(this.#timeoutSeconds)
  }

  protected info(): Promise<WatchdogInfo> {
    return Promise.resolve({ identity: 'test harness', canSetTimeout: true, canBeDisarmed: true })
  }
}
