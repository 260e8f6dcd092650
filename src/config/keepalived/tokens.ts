// From the text of a keepalived.conf to statements: words with their places, blocks in braces. Knows no keyword.
// As tolerant as keepalived: braces may stand anywhere, a block may begin on the next line, `#` and `!` begin a comment.

/** One word as it is meant, without its quotes. */
export interface Word {
  readonly text: string
  readonly line: number
  readonly column: number
  readonly isQuoted: boolean
}

/** One line that says something, with its block when it has one. */
export interface Statement {
  readonly words: readonly Word[]
  readonly block: readonly Statement[] | undefined
}

/** What is wrong with a file, or worth telling. */
export interface Remark {
  readonly line: number
  readonly column: number
  readonly about: string
  readonly says: string
  /** `error`: the file cannot be used. `unknown`: neither, if the reader is lenient. `warning` and `trap`: it is used. */
  readonly severity: 'error' | 'unknown' | 'warning' | 'trap'
}

export interface Parsed {
  readonly statements: readonly Statement[]
  readonly remarks: readonly Remark[]
}

type Token =
  | { readonly kind: 'word'; readonly word: Word }
  | { readonly kind: 'open' | 'close' | 'end'; readonly line: number; readonly column: number }

const NESTING_MAX = 20

/** Splits a text into statements. Never throws. */
export function parseStatements(text: string): Parsed {
  const remarks: Remark[] = []
  const variables = new Map<string, string>()
  const tokens: Token[] = []
  for (const [index, source] of text.split(/\r?\n/).entries()) {
    const line = readLine(source, index + 1, remarks)
    if (!takeDefinition(line, variables)) tokens.push(...line.map(token => substituted(token, variables)))
    tokens.push({ kind: 'end', line: index + 1, column: source.length + 1 })
  }
  return { statements: new Reader(tokens, remarks).all(), remarks }
}

/** The tokens of one line. */
function readLine(source: string, line: number, remarks: Remark[]): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < source.length) {
    const char = source.charAt(at)
    const column = at + 1
    if (char === '#' || char === '!') break
    if (/\s/.test(char)) at += 1
    else if (char === '{' || char === '}') {
      tokens.push({ kind: char === '{' ? 'open' : 'close', line, column })
      at += 1
    } else {
      const { text, length, isQuoted, isClosed } = readWord(source.slice(at))
      if (!isClosed) {
        remarks.push({
          line,
          column,
          about: source.trim().slice(0, 40),
          says: 'a quote is not closed',
          severity: 'error',
        })
      }
      tokens.push({ kind: 'word', word: { text, line, column, isQuoted } })
      at += length
    }
  }
  return tokens
}

interface ReadWord {
  readonly text: string
  readonly length: number
  readonly isQuoted: boolean
  readonly isClosed: boolean
}

/** A word up to a blank, a comment or a brace; quotes take those in. A backslash in quotes takes the next character in. */
function readWord(source: string): ReadWord {
  let text = ''
  let quote: string | undefined
  let isQuoted = false
  let at = 0
  for (; at < source.length; at += 1) {
    const char = source.charAt(at)
    if (quote !== undefined) {
      if (char === quote) quote = undefined
      else if (char === '\\' && /["'\\]/.test(source.charAt(at + 1))) {
        at += 1
        text += source.charAt(at)
      } else text += char
    } else if (char === '"' || (char === "'" && at === 0)) {
      quote = char
      isQuoted = true
    } else if (/[\s{}]/.test(char)) {
      // `${NAME}` is one word.
      if (!/[{}]/.test(char) || !/\$\{?\w*$/.test(text)) break
      text += char
    } else if ((char === '#' || char === '!') && at > 0) break
    else text += char
  }
  return { text, length: Math.max(at, 1), isQuoted, isClosed: quote === undefined }
}

/** `$NAME=value`: true when the line was one of these. */
function takeDefinition(line: readonly Token[], variables: Map<string, string>): boolean {
  const [first] = line
  if (first?.kind !== 'word' || first.word.isQuoted) return false
  const match = /^\$(\w+)=(.*)$/.exec(first.word.text)
  if (match === null) return false
  const rest = line.slice(1).flatMap(token => (token.kind === 'word' ? [token.word.text] : []))
  variables.set(match[1] ?? '', [match[2] ?? '', ...rest].join(' ').trim())
  return true
}

function substituted(token: Token, variables: ReadonlyMap<string, string>): Token {
  if (token.kind !== 'word' || !token.word.text.includes('$')) return token
  const text = token.word.text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced?: string, bare?: string) => {
    return variables.get(braced ?? bare ?? '') ?? all
  })
  return { kind: 'word', word: { ...token.word, text } }
}

class Reader {
  readonly #tokens: readonly Token[]
  readonly #remarks: Remark[]
  #at = 0

  constructor(tokens: readonly Token[], remarks: Remark[]) {
    this.#tokens = tokens
    this.#remarks = remarks
  }

  all(): readonly Statement[] {
    return this.#statements(undefined, 0)
  }

  #statements(openedBy: Token | undefined, depth: number): readonly Statement[] {
    const statements: Statement[] = []
    for (;;) {
      const token = this.#tokens[this.#at]
      if (token === undefined) {
        if (openedBy !== undefined) this.#error(openedBy, '{', 'this block is not closed')
        return statements
      }
      if (token.kind === 'word') statements.push(this.#statement(depth))
      else {
        this.#at += 1
        if (token.kind === 'close') {
          if (openedBy !== undefined) return statements
          this.#error(token, '}', 'there is no block to close')
        } else if (token.kind === 'open') {
          this.#error(token, '{', 'a keyword is missing before this block')
          this.#statements(token, depth + 1)
        }
      }
    }
  }

  #statement(depth: number): Statement {
    const words: Word[] = []
    for (let token = this.#tokens[this.#at]; token?.kind === 'word'; token = this.#tokens[this.#at]) {
      words.push(token.word)
      this.#at += 1
    }
    const open = this.#skipEnds()
    if (open === undefined) return { words, block: undefined }
    if (depth < NESTING_MAX) return { words, block: this.#statements(open, depth + 1) }
    this.#error(open, '{', `blocks are nested more than ${NESTING_MAX} deep`)
    this.#at = this.#tokens.length
    return { words, block: [] }
  }

  /** Takes the `{` of a statement, on its line or a later one. */
  #skipEnds(): Token | undefined {
    let at = this.#at
    while (this.#tokens[at]?.kind === 'end') at += 1
    const token = this.#tokens[at]
    if (token?.kind !== 'open') return undefined
    this.#at = at + 1
    return token
  }

  #error(token: Token, about: string, says: string): void {
    const { line, column } = token.kind === 'word' ? token.word : token
    this.#remarks.push({ line, column, about, says, severity: 'error' })
  }
}
