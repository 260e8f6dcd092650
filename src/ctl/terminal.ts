// What a command needs of the terminal: printing and asking. The end of the input in a question is an abort.

import { UserError } from '../platform/errors.ts'

export interface Terminal {
  print(text: string): void
  /** A sentence for people beside the output, on standard error. */
  warn(text: string): void
  /** Asks `question [fallback]: ` and returns the answer, or the fallback for an empty one. */
  ask(question: string, fallback: string): Promise<string>
  /** Asks `question: ` until something is typed. */
  demand(question: string): Promise<string>
  /** Asks `question: ` and does not show what is typed. */
  secret(question: string): Promise<string>
  /** Asks `question [y/N]: ` until the answer is one. */
  confirm(question: string): Promise<boolean>
  /** Clears the screen when there is one. */
  clear(): void
  /** Everything on the standard input, to its end; refuses more than `bytesMax`. */
  readAll(bytesMax: number): Promise<string>
  /** A person looks at the output: progress lines make sense. */
  readonly isScreen: boolean
  /** The same, and nobody forbade colours (NO_COLOR). */
  readonly hasColours: boolean
  /** Of the screen, as of now. */
  readonly size: { readonly columns: number; readonly rows: number }
}

/** The input ended in the middle of a question. */
export class AbortedError extends UserError {
  constructor() {
    super('Aborted!')
    this.name = 'AbortedError'
  }
}
