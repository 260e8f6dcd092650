// One change of one source file, as a value that can be handed to another process.

/** For the workers: the Changes of a mutant as JSON. */
export const MUTANT_VARIABLE = 'PGHERD_SIMULATION_MUTANT'

export interface Change {
  /** From the checkout: `src/agent/fence.ts`. */
  readonly file: string
  /** Where the replaced text begins. */
  readonly at: number
  readonly from: string
  readonly to: string
}

/** The changed text. Throws when the text is not what the change was made for. */
export function applyChange(text: string, { file, at, from, to }: Change): string {
  if (!text.startsWith(from, at))
    throw new Error(`${file} has changed: expected ${JSON.stringify(from)} at ${at}`)
  return text.slice(0, at) + to + text.slice(at + from.length)
}

/** The change that replaces `from` where it stands; it must stand there exactly once. */
export function changeOf(file: string, text: string, from: string, to: string): Change {
  const at = text.indexOf(from)
  if (at < 0) throw new Error(`${file} does not contain ${JSON.stringify(from)}`)
  if (text.indexOf(from, at + 1) >= 0)
    throw new Error(`${file} contains ${JSON.stringify(from)} more than once`)
  return { file, at, from, to }
}

/** The number of the changed line, from 1. */
export function lineOf(text: string, { at }: Change): number {
  return text.slice(0, at).split('\n').length
}
