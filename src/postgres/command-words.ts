// Splits a configured command line into words as a shell would, without running a shell.

import { UserError } from '../platform/errors.ts'

/** Words with quotes and backslashes resolved; no variables, no globs. UserError when a quote stays open. */
export function commandWords(line: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let index = 0; index < line.length; index++) {
    const char = line.charAt(index)
    if (quote === undefined && /\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (char === quote) {
      quote = undefined
    } else if (quote === undefined && (char === "'" || char === '"')) {
      quote = char
      word ??= ''
    } else if (char === '\\' && quote !== "'" && index + 1 < line.length) {
      index++
      word = (word ?? '') + line.charAt(index)
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== undefined) throw new UserError(`the command ${JSON.stringify(line)} has an open ${quote}`)
  if (word !== undefined) words.push(word)
  return words
}
