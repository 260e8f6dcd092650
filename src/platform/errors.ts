// Two kinds of error: an operating error of the system around us, and a mistake of the person who runs us.

/** Details of an operating error. `retryable` says whether the same call may succeed later unchanged. */
export interface HaErrorDetails {
  readonly retryable?: boolean
  readonly cause?: unknown
  readonly context?: Readonly<Record<string, unknown>>
}

/** An operating error with a stable code (`E_...`). Expected outcomes are return values, not errors. */
export class HaError extends Error {
  readonly code: string
  readonly retryable: boolean
  readonly context: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, details: HaErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'HaError'
    this.code = code
    this.retryable = details.retryable ?? false
    this.context = details.context ?? {}
  }
}

/** Something the operator must change: printed as one line without a stack, then the process exits with `exitCode`. */
export class UserError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.name = 'UserError'
    this.exitCode = exitCode
  }
}

/** A programmer's assumption. A broken one ends the process; supervision starts it again. */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`)
}

/** The message of anything that was thrown, with the messages of its causes. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const own = error.message === '' ? error.name : error.message
  return error.cause === undefined ? own : `${own}: ${messageOf(error.cause)}`
}
