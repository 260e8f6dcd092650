// From a haproxy.cfg's text to its sections. Every mistake becomes a remark with its line; nothing is thrown.

import { type Directive, directives, takesNo } from './directives.ts'
import { draftFrom, newDraft, type SectionDraft, type SectionKind } from './draft.ts'
import { globalDirectives } from './global-directives.ts'
import { nearestName } from './nearest.ts'
import { type Line, type Remark, readTokens } from './tokens.ts'

export interface Sections {
  readonly globalMaxconn: { readonly value: number; readonly line: number } | undefined
  readonly proxies: readonly SectionDraft[]
  readonly remarks: readonly Remark[]
}

const PROXY_KINDS: readonly string[] = ['listen', 'frontend', 'backend', 'defaults']
/** Sections that describe nothing that this program does. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  peers: 'there are no tables of clients to share',
  resolvers: 'names are looked up by the system',
  mailers: 'events are in the log and on the status port',
  userlist: 'the status page asks for no password',
  program: 'other programs are not started from here',
  cache: 'it belongs to HTTP',
  'http-errors': 'it belongs to HTTP',
  ring: 'pgherd logs to its standard error',
  'log-forward': 'pgherd logs to its standard error',
  'fcgi-app': 'it belongs to HTTP',
  'crt-store': 'TLS passes through to the servers',
  traces: 'PGHERD_DEBUG=1 shows more',
}

class Reader {
  readonly remarks: Remark[] = []
  readonly proxies: SectionDraft[] = []
  globalMaxconn: Sections['globalMaxconn']
  #defaults = newDraft('defaults', '', 0)
  readonly #named = new Map<string, SectionDraft>()
  /** `global`, a draft, or nothing that lines could belong to. */
  #current: SectionDraft | 'global' | 'other' | undefined

  take({ line, words }: Line): void {
    const [first = ''] = words
    if (first === 'global') this.#current = 'global'
    else if (PROXY_KINDS.includes(first)) this.#open(first as SectionKind, line, words.slice(1))
    else if (OTHER_KINDS[first] !== undefined && words.length <= 2 && first !== 'cache') {
      this.#current = 'other'
      this.#remark(line, first, `has no effect: ${OTHER_KINDS[first]}`, 'warning')
    } else this.#directive(line, words)
  }

  #open(kind: SectionKind, line: number, words: readonly string[]): void {
    const [name = '', from, base = ''] = words
    const isFrom = name === 'from' || from === 'from'
    const given = isFrom ? this.#named.get(name === 'from' ? (from ?? '') : base) : this.#defaults
    if (given === undefined) this.#remark(line, kind, `there is no defaults section ${base}`, 'error')
    if (kind !== 'defaults') {
      if (name === '') this.#remark(line, kind, 'a name is missing', 'error')
      if (this.proxies.some(other => other.name === name && clashes(other.kind, kind)))
        this.#remark(line, `${kind} ${name}`, 'there is another section with this name', 'error')
      this.#current = draftFrom(given ?? this.#defaults, kind, name, line)
      this.proxies.push(this.#current)
      return
    }
    this.#defaults =
      isFrom && given !== undefined ? draftFrom(given, kind, name, line) : newDraft(kind, name, line)
    if (name !== '') this.#named.set(name, this.#defaults)
    this.#current = this.#defaults
  }

  #directive(line: number, words: readonly string[]): void {
    const [first = ''] = words
    const current = this.#current
    if (current === 'other') return
    if (current === undefined) {
      const near = nearestName(first, ['global', ...PROXY_KINDS])
      this.#remark(line, first, `unknown section${hint(near)}`, 'unknown')
      return
    }
    if (first.startsWith('.')) {
      this.#remark(line, first, 'conditions in the file are not read: remove it', 'unknown')
      return
    }
    if (current === 'global') this.#global(line, words)
    else this.#inProxy(current, line, words)
  }

  #global(line: number, words: readonly string[]): void {
    const [first = '', value = ''] = words
    if (first === 'maxconn') {
      const isWhole = /^\d{1,9}$/.test(value)
      // 0 is as if it were not said.
      if (isWhole) this.globalMaxconn = Number(value) === 0 ? undefined : { value: Number(value), line }
      else this.#remark(line, 'maxconn', 'expected a whole number', 'error')
      return
    }
    const why =
      globalDirectives[first] ??
      globalDirectives[`${first} ${value}`] ??
      (first.startsWith('tune.') ? '' : undefined)
    if (why === undefined) {
      const near = nearestName(first, [...Object.keys(globalDirectives), 'maxconn'])
      this.#remark(line, first, `unknown in global${hint(near)}`, 'unknown')
    } else if (why !== '') this.#remark(line, first, `has no effect: ${why}`, 'warning')
  }

  #inProxy(draft: SectionDraft, line: number, all: readonly string[]): void {
    const isNo = all[0] === 'no'
    const words = isNo ? all.slice(1) : all
    const two = words.slice(0, 2).join(' ')
    const name = directives[two] === undefined ? (words[0] ?? '') : two
    const directive: Directive | undefined = directives[name]
    if (directive === undefined) {
      this.#remark(
        line,
        PREFIXES.includes(words[0] ?? '') ? two : name,
        `unknown directive${hint(nearestDirective(words))}`,
        'unknown',
      )
      return
    }
    if (isNo && !takesNo(name)) {
      this.#remark(line, `no ${name}`, 'cannot be taken back: remove the line that asks for it', 'error')
      return
    }
    // What has no effect has none to take back.
    if (isNo && directive.read === undefined) return
    if (!isNo) draft.seen.set(name, line)
    if (directive.inert !== undefined)
      this.#remark(line, name, `has no effect: ${directive.inert}`, 'warning')
    if (directive.refused !== undefined) this.#remark(line, name, directive.refused, 'unknown')
    const rest = words.slice(name === two && name.includes(' ') ? 2 : 1)
    directive.read?.({
      draft,
      line,
      words: isNo ? ['no', ...rest] : rest,
      remark: remark => this.remarks.push({ line, ...remark }),
    })
  }

  #remark(line: number, about: string, says: string, severity: Remark['severity']): void {
    this.remarks.push({ line, about, says, severity })
  }
}

/** First words that mean something only with a second. */
const PREFIXES = ['option', 'timeout', 'stats', 'http-check', 'tcp-check', 'rate-limit']

function nearestDirective(words: readonly string[]): string | undefined {
  const [first = ''] = words
  const names = Object.keys(directives)
  if (PREFIXES.includes(first)) {
    const same = names.filter(name => name.startsWith(`${first} `))
    const near = nearestName(
      words[1] ?? '',
      same.map(name => name.slice(first.length + 1)),
    )
    return near === undefined ? undefined : `${first} ${near}`
  }
  return nearestName(first, [
    ...names.filter(name => !name.includes(' ')),
    ...PREFIXES,
    'global',
    ...PROXY_KINDS,
  ])
}

function hint(near: string | undefined): string {
  return near === undefined ? '' : `; did you mean ${near}?`
}

/** A frontend and a backend may share a name; anything else may not. */
function clashes(a: SectionKind, b: SectionKind): boolean {
  return a === b || a === 'listen' || b === 'listen'
}

/** Reads a text. `env` gives the values of variables in it. */
export function readSections(text: string, env: Readonly<Record<string, string | undefined>> = {}): Sections {
  const { lines, remarks } = readTokens(text, env)
  const reader = new Reader()
  for (const line of lines) reader.take(line)
  const all = [...remarks, ...reader.remarks].sort((a, b) => a.line - b.line)
  return { globalMaxconn: reader.globalMaxconn, proxies: reader.proxies, remarks: all }
}
