// Runs the world of one seed and says how it ended.

import { Violation } from './checks/violation.ts'
import type { Failure } from './runner.ts'
import type { Settings } from './settings.ts'
import type { Trace } from './trace.ts'
import { World } from './world.ts'

export interface Tried {
  readonly world: World
  readonly failure: Failure | undefined
}

export async function trySeed(seed: number, trace?: Trace, settings?: Partial<Settings>): Promise<Tried> {
  const world = new World({
    seed,
    ...(trace === undefined ? {} : { trace }),
    ...(settings === undefined ? {} : { settings }),
  })
  // A promise of a modelled process that nobody awaits rejects here: that is a bug of the code under test.
  const onRejection = (error: unknown) => world.fail(error)
  process.on('unhandledRejection', onRejection)
  try {
    await world.run()
    return { world, failure: undefined }
  } catch (error) {
    const check = error instanceof Violation ? error.check : 'exception'
    const says =
      error instanceof Violation
        ? error.message
        : error instanceof Error
          ? (error.stack ?? '')
          : String(error)
    return { world, failure: { seed, check, says } }
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}
