// What a check's script means: an HTTP question, a process that is alive, or a program to run. keepalived 2 gives scripts to
// no shell, so a pipe in one of them never works there; what its author meant is done here. Pure.

import type { CheckQuestion } from './types.ts'

export interface UnderstoodCheck {
  readonly question: CheckQuestion
  /** What became of it, in a line; undefined when it is simply run. */
  readonly says: string | undefined
  /** The script does not do on keepalived 2 what it says. */
  readonly isTrap: boolean
}

const SHELL_SIGNS = /[|<>;&`]|\$\(/

/**
 * Understands a script. `selfNames`: processes that this one stands for, as `haproxy` for a proxy.
 */
export function understandCheck(script: string, selfNames: readonly string[]): UnderstoodCheck {
  const http = understandCurl(script)
  if (http !== undefined) return http
  const process = understandProcess(script, selfNames)
  if (process !== undefined) return process
  const inner = shellText(script)
  if (inner !== undefined) {
    const meant = understandCheck(inner, selfNames)
    if (meant.question.kind === 'http' || meant.question.kind === 'process')
      return { ...meant, isTrap: false }
    return { question: { kind: 'shell', text: inner }, says: undefined, isTrap: false }
  }
  if (SHELL_SIGNS.test(script)) {
    const says = 'is run by a shell here, as it was meant'
    return { question: { kind: 'shell', text: script }, says, isTrap: true }
  }
  return {
    question: { kind: 'command', words: splitWords(script) ?? [script] },
    says: undefined,
    isTrap: false,
  }
}

/** The script of `sh -c '...'`. */
function shellText(script: string): string | undefined {
  const words = splitWords(script)
  if (words?.length !== 3 || words[1] !== '-c') return undefined
  return /^(?:\/(?:usr\/)?bin\/)?(?:ba|da)?sh$/.test(words[0] ?? '') ? words[2] : undefined
}

/** Words as a shell separates them; undefined when a quote is not closed. */
export function splitWords(text: string): readonly string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at)
    if (quote !== undefined) {
      if (char === quote) quote = undefined
      else if (char === '\\' && quote === '"') word = (word ?? '') + text.charAt(++at)
      else word = (word ?? '') + char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (char === '\\') word = (word ?? '') + text.charAt(++at)
    else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + char
  }
  if (quote !== undefined) return undefined
  return word === undefined ? words : [...words, word]
}

/** Without what only sends output somewhere. */
function withoutRedirections(text: string): string {
  return text.replace(/\s*\d?(?:>>?|<)\s*(?:&\d|\/dev\/null)|\s*&>\s*\/dev\/null/g, '').trim()
}

/** `curl URL`, alone or into one `grep`. */
function understandCurl(script: string): UnderstoodCheck | undefined {
  const parts = splitPipe(script)
  if (parts === undefined || parts.length > 2) return undefined
  const [first = '', second] = parts
  const curl = readCurl(splitWords(withoutRedirections(first)) ?? [])
  if (curl === undefined) return undefined
  const base = { kind: 'http', url: curl.url, method: curl.method, verifies: curl.verifies } as const
  if (second === undefined) {
    const statuses = curl.fails ? 'below-400' : undefined
    const says = curl.fails
      ? `is asked directly: good while the answer is below 400`
      : 'is asked directly: good while anything answers, whatever its status (add -f to curl for more)'
    return {
      question: { ...base, statuses, contains: undefined },
      says,
      isTrap: !curl.fails || SHELL_SIGNS.test(script),
    }
  }
  const pattern = readGrep(splitWords(withoutRedirections(second)) ?? [])
  if (pattern === undefined) return undefined
  const status = /^(?:HTTP\/(?:1\.[01]|1\.\.|2) )?([1-5]\d\d)(?: [A-Z][A-Za-z ]*)?$/.exec(pattern)?.[1]
  if (status !== undefined) {
    const says = `is asked directly: good while ${curl.url} answers ${status}`
    return { question: { ...base, statuses: [Number(status)], contains: undefined }, says, isTrap: true }
  }
  // A pattern that is more than text would be guessed at.
  if (!/^[\w\s":,./=@<>-]+$/.test(pattern)) return undefined
  const says = `is asked directly: good while the answer of ${curl.url} contains “${pattern}”`
  const statuses = curl.fails ? ('below-400' as const) : undefined
  return { question: { ...base, statuses, contains: pattern }, says, isTrap: true }
}

/** The parts between pipes that no quote covers; undefined when there is more of a shell in it. */
function splitPipe(script: string): readonly string[] | undefined {
  const bare = withoutRedirections(script.replace(/"[^"]*"|'[^']*'/g, quoted => 'q'.repeat(quoted.length)))
  if (/[;`]|\$\(|&&|\|\||[<>&]/.test(bare)) return undefined
  const parts: string[] = []
  let part = ''
  let quote: string | undefined
  for (const char of script) {
    if (quote === undefined && char === '|') {
      parts.push(part)
      part = ''
      continue
    }
    if (char === quote) quote = undefined
    else if (quote === undefined && (char === '"' || char === "'")) quote = char
    part += char
  }
  return [...parts, part].map(text => text.trim())
}

interface Curl {
  readonly url: string
  readonly method: string
  readonly fails: boolean
  readonly verifies: boolean
}

/** Options without a value that change nothing about what is asked. */
const PLAIN = /^(?:--silent|--show-error|--verbose|--include|--location|--no-progress-meter|--no-keepalive)$/
const WITH_VALUE = /^(?:-m|--max-time|--connect-timeout|-o|--output|-w|--write-out|--retry|--stderr)$/

function readCurl(words: readonly string[]): Curl | undefined {
  if (!/^(?:\/\S*\/)?curl$/.test(words[0] ?? '')) return undefined
  let url: string | undefined
  let method = 'GET'
  let fails = false
  let verifies = true
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (word === '-X' || word === '--request') method = words[++at] ?? 'GET'
    else if (word === '--head') method = 'HEAD'
    else if (word === '--fail') fails = true
    else if (word === '--insecure') verifies = false
    else if (WITH_VALUE.test(word)) at += 1
    else if (PLAIN.test(word)) continue
    else if (/^-[A-Za-z]+$/.test(word)) {
      const letters = word.slice(1)
      // One that takes a value may end a row: `-so /dev/null`.
      if (/[mow]$/.test(letters)) at += 1
      if (!/^[sSviLNfkI]*[mow]?$/.test(letters)) return undefined
      fails ||= letters.includes('f')
      verifies &&= !letters.includes('k')
      if (letters.includes('I')) method = 'HEAD'
    } else if (word.startsWith('-') || url !== undefined) return undefined
    else url = word
  }
  if (url === undefined) return undefined
  const full = /^\w+:\/\//.test(url) ? url : `http://${url}`
  if (!/^https?:\/\//.test(full) || !URL.canParse(full)) return undefined
  return { url: full, method, fails, verifies }
}

/** The one pattern of a plain grep. */
function readGrep(words: readonly string[]): string | undefined {
  if (!/^(?:\/\S*\/)?[ef]?grep$/.test(words[0] ?? '')) return undefined
  const rest = words.slice(1).filter(word => !/^-[qsEFwe]+$/.test(word) && !/^--(?:quiet|silent)$/.test(word))
  return rest.length === 1 && !(rest[0] ?? '-').startsWith('-') ? rest[0] : undefined
}

/** `killall -0 NAME`, `pgrep [-x] NAME`, `pidof NAME`, `kill -0 $(cat FILE)`. */
function understandProcess(script: string, selfNames: readonly string[]): UnderstoodCheck | undefined {
  const bare = withoutRedirections(script)
  const file = /^(?:\/\S*\/)?kill\s+-0\s+(?:\$\(\s*cat\s+(\S+?)\s*\)|`\s*cat\s+(\S+?)\s*`)$/.exec(bare)
  const pidFile = file?.[1] ?? file?.[2]
  if (pidFile !== undefined) {
    const says = `means: the process of ${pidFile} is alive`
    return { question: { kind: 'pid-file', file: pidFile }, says, isTrap: true }
  }
  const found = readProcessWords(splitWords(bare) ?? [])
  if (found === undefined || SHELL_SIGNS.test(bare)) return undefined
  const isSelf = selfNames.includes(found.name)
  const says = isSelf
    ? `means: ${found.name} is alive; that is this process, so it holds while it runs`
    : `means: the process ${found.name} is alive`
  return { question: { kind: 'process', ...found, isSelf }, says, isTrap: SHELL_SIGNS.test(script) }
}

function readProcessWords(
  words: readonly string[],
): { readonly name: string; readonly isPart: boolean } | undefined {
  const program = /^(?:\/\S*\/)?(killall|pgrep|pidof)$/.exec(words[0] ?? '')?.[1]
  const options = words.slice(1).filter(word => word.startsWith('-'))
  const [name, ...more] = words.slice(1).filter(word => !word.startsWith('-'))
  if (program === undefined || name === undefined || more.length > 0 || !/^[\w.-]+$/.test(name))
    return undefined
  const allowed = { killall: /^-(?:0|q|s0|SIGNULL)$/, pgrep: /^-[xcl]$/, pidof: /^-[sx]$/ }[program]
  if (!options.every(option => allowed?.test(option))) return undefined
  // Without -0 it would end the process.
  if (program === 'killall' && !options.some(option => /^-(?:0|s0|SIGNULL)$/.test(option))) return undefined
  return { name, isPart: program === 'pgrep' && !options.includes('-x') }
}
