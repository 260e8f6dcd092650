// From the text of a haproxy.cfg to words: quotes, escapes, comments, variables of the environment. Knows no directive.

/** One line that says something. */
export interface Line {
  readonly line: number
  readonly words: readonly string[]
}

/** What is wrong with a file, or worth telling. */
export interface Remark {
  readonly line: number
  /** The directive that it is about. */
  readonly about: string
  readonly says: string
  /** `error`: the file cannot be used. `unknown`: neither, if the reader is lenient. `warning`: it is used. */
  readonly severity: 'error' | 'unknown' | 'warning'
}

export interface Tokens {
  readonly lines: readonly Line[]
  readonly remarks: readonly Remark[]
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/** Splits a text into lines of words. Never throws. */
export function readTokens(text: string, env: Readonly<Record<string, string | undefined>>): Tokens {
  const lines: Line[] = []
  const remarks: Remark[] = []
  for (const [index, source] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    const words = readWords(source, env)
    if (words === undefined) {
      remarks.push({
        line,
        about: source.trim().slice(0, 40),
        says: 'a quote is not closed',
        severity: 'error',
      })
    } else if (words.length > 0) {
      lines.push({ line, words })
    }
  }
  return { lines, remarks }
}

/** The words of one line; undefined when a quote is not closed. */
function readWords(
  source: string,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let at = 0; at < source.length; at += 1) {
    const char = source.charAt(at)
    if (char === '\\' && quote !== "'") {
      at += 1
      const next = source.charAt(at)
      word = (word ?? '') + (ESCAPES[next] ?? next)
    } else if (quote !== undefined) {
      if (char === quote) quote = undefined
      else if (char === '$' && quote === '"') {
        const { value, length } = readVariable(source.slice(at), env)
        word = (word ?? '') + value
        at += length - 1
      } else word = (word ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (char === '#') {
      break
    } else if (char === ' ' || char === '\t') {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + char
    }
  }
  if (quote !== undefined) return undefined
  if (word !== undefined) words.push(word)
  return words
}

/** `$NAME`, `${NAME}` or `${NAME-default}` at the beginning of a text. */
function readVariable(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
): { readonly value: string; readonly length: number } {
  const match = /^\$(?:\{([A-Za-z0-9_]+)(?:-([^}]*))?\}|([A-Za-z0-9_]+))/.exec(text)
  if (match === null) return { value: '$', length: 1 }
  const name = match[1] ?? match[3] ?? ''
  return { value: env[name] ?? match[2] ?? '', length: match[0].length }
}
