// Calls of the C library that Node does not offer: raw sockets, ioctl, socket options. Through koffi's prebuilt module,
// which is optional: on a processor that it was not built for everything else works, and what needs a call says so.
//
// Calls run on the main thread and must not block: descriptors are opened with O_NONBLOCK. What may hang in the kernel is
// bound with `bindWaiting`, which runs it on a thread of Node's pool.

import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import { HaError, messageOf } from './errors.ts'

/** Any function of the C library that tells its failure by a negative number and errno. */
export type NativeFunction = (...words: readonly NativeWord[]) => number

type NativeWord = number | bigint | string | Buffer | null

/** The same for a call that may take its time: it settles when the call has returned, and never if that hangs. */
export type WaitingFunction = (...words: readonly NativeWord[]) => Promise<number>

/** Follows a descriptor in the event loop. */
export interface DescriptorWatch {
  stop(): void
}

/** A call that failed: `code` of an operating error is E_SYSTEM_CALL, `errnoName` as in errno(3). */
export class SystemCallError extends HaError {
  readonly errnoName: string

  constructor(call: string, errnoName: string) {
    super('E_SYSTEM_CALL', `${call}: ${errnoName}`, { context: { call, errnoName } })
    this.errnoName = errnoName
  }
}

type KoffiFunction = NativeFunction & {
  async(...wordsAndCallback: readonly (NativeWord | ((error: Error | null, result: number) => void))[]): void
}

/** The part of koffi's module that we use (https://koffi.dev). */
interface KoffiModule {
  load(library: null): { func(prototype: string): KoffiFunction }
  errno(): number
  readonly node: {
    poll(
      descriptor: number,
      options: { readonly readable: boolean },
      onEvent: () => void,
    ): { stop(): void; close(): void }
  }
}

/** The C library of this process. */
export class NativeLibrary {
  readonly #module: KoffiModule
  readonly #library: { func(prototype: string): KoffiFunction }

  constructor(module: KoffiModule) {
    this.#module = module
    this.#library = module.load(null)
  }

  /**
   * Binds a function by its C prototype, for example `int close(int fd)`. Pointers take a Buffer or null; a 64-bit number
   * may be given as bigint. The bound function returns what C returns and throws SystemCallError when that is negative.
   */
  bind(prototype: string): NativeFunction {
    const call = this.#library.func(prototype)
    const name = nameIn(prototype)
    return (...words) => {
      const result = call(...words)
      if (result < 0) throw new SystemCallError(name, getSystemErrorName(-this.#module.errno()))
      return result
    }
  }

  /**
   * As `bind`, on a thread of Node's pool: the process goes on meanwhile. A call that never returns keeps its thread (there
   * are four by default) and keeps the process from exiting, so whoever uses this has at most one under way. Buffers must
   * not be touched before it settles.
   */
  bindWaiting(prototype: string): WaitingFunction {
    const call = this.#library.func(prototype)
    const name = nameIn(prototype)
    return (...words) =>
      new Promise((resolve, reject) => {
        call.async(...words, (error: Error | null, result: number) => {
          if (error !== null) reject(error)
          else if (result < 0) reject(new SystemCallError(name, getSystemErrorName(-this.#module.errno())))
          else resolve(result)
        })
      })
  }

  /** Calls `onReadable` in the event loop whenever `descriptor` has something to read. Stop it before closing the descriptor. */
  watch(descriptor: number, onReadable: () => void): DescriptorWatch {
    const handle = this.#module.node.poll(descriptor, { readable: true }, onReadable)
    let isOver = false
    return {
      stop: () => {
        if (isOver) return
        isOver = true
        handle.stop()
        handle.close()
      },
    }
  }
}

function nameIn(prototype: string): string {
  return /(\w+)\s*\(/.exec(prototype)?.[1] ?? prototype
}

let loaded: NativeLibrary | HaError | undefined

/**
 * The C library, loaded at the first call (some milliseconds, so at start-up, not under load) and kept.
 * Throws HaError E_NO_NATIVE_CALLS when koffi's module is not there or does not fit this machine.
 */
export function nativeLibrary(): NativeLibrary {
  loaded ??= loadLibrary()
  if (loaded instanceof HaError) throw loaded
  return loaded
}

/** The same, or undefined: for what is only better with it. */
export function optionalNativeLibrary(): NativeLibrary | undefined {
  loaded ??= loadLibrary()
  return loaded instanceof HaError ? undefined : loaded
}

function loadLibrary(): NativeLibrary | HaError {
  const require = createRequire(import.meta.url)
  const failures: string[] = []
  for (const file of candidates()) {
    try {
      return new NativeLibrary(require(file) as KoffiModule)
    } catch (error) {
      failures.push(messageOf(error).split('\n', 1)[0] ?? '')
    }
  }
  return new HaError(
    'E_NO_NATIVE_CALLS',
    `system calls are not available on ${process.platform} ${process.arch}: ${failures.join('; ')}`,
  )
}

/** Beside the bundle's files (dist/native), then where npm put it. */
function candidates(): string[] {
  const here = path.dirname(fileURLToPath(import.meta.url))
  const { arch } = process
  return [path.join(here, '../native/koffi.node'), `@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`]
}
