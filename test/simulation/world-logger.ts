// The log of everybody in a world: lines of its trace, and an alarm where a line can only be a bug.

import { type Logger, silentLogger } from '../../src/platform/log.ts'
import { Violation } from './checks/violation.ts'
import type { Counts } from './counts.ts'

interface LoggerParts {
  readonly counts: Counts
  trace(source: string, says: string): void
  fail(error: unknown): void
}

/** Lines for the trace; and an exception in a turn is a bug whatever comes of it. */
export function worldLogger({ counts, trace, fail }: LoggerParts, source: string): Logger {
  const note = (text: string) => trace(source, text)
  const logger: Logger = {
    ...silentLogger,
    info: (text, fields) => {
      if (fields?.['rule'] !== undefined) counts.rule(String(fields['rule']))
      note(text)
    },
    warning: note,
    error: text => {
      note(text)
      if (text.startsWith('turn failed')) fail(new Violation('turn-failed', `${source}: ${text}`))
    },
    critical: note,
    with: () => logger,
  }
  return logger
}
