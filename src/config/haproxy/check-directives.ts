// The directives that say what servers are asked: httpchk, http-check, tcp-check, pgsql-check.

import type { Directive } from './directives.ts'
import type { CheckDraft, Reading } from './draft.ts'
import { readStatuses } from './values.ts'

const METHODS = ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT']

function readHttpchk({ draft, words, line, remark }: Reading): void {
  const { check } = draft
  check.kind = 'http'
  check.line = line
  const [first, second, version, ...rest] = words
  // One word alone is the path; two are method and path.
  if (first !== undefined && second === undefined) check.path = first
  if (second !== undefined) {
    check.method = first ?? check.method
    check.path = second
  }
  if (!METHODS.includes(check.method))
    remark({ about: 'option httpchk', says: `expected one of ${METHODS.join(', ')}`, severity: 'error' })
  if (version === undefined) return
  // Older files put headers behind the version, with their line ends escaped.
  const [number = '', ...lines] = [version, ...rest].join(' ').split(/\r\n/)
  check.version = number.trim()
  for (const header of lines) addHeader(check, header)
}

function addHeader(check: CheckDraft, text: string): void {
  const match = /^([^:\s]+):\s*(.*)$/.exec(text.trim())
  if (match !== null) check.headers.push([match[1] ?? '', match[2] ?? ''])
}

/** What may stand before the match, each with a value: how a result is called, and when it is looked at. */
const NOTES = [
  'min-recv',
  'comment',
  'ok-status',
  'error-status',
  'tout-status',
  'on-success',
  'on-error',
  'status-code',
]

function readExpect({ draft, words, remark }: Reading): void {
  let at = 0
  while (NOTES.includes(words[at] ?? '')) at += 2
  const rest = words.slice(at)
  const isNegated = rest[0] === '!'
  const [kind, ...values] = isNegated ? rest.slice(1) : rest
  const expects = kind === 'status' ? readStatuses(values.join(','), isNegated) : undefined
  if (expects !== undefined) draft.check.expects = expects
  else if (kind === 'rstatus' && values[0] === '(2|3)[0-9][0-9]') draft.check.expects = undefined
  else {
    const says = 'expected: status with codes such as 200 or 200-299'
    remark({ about: `http-check expect ${kind ?? ''}`, says, severity: 'unknown' })
  }
}

/** `http-check send meth GET uri /replica ver HTTP/1.1 hdr Host x`. */
function readSend({ draft, words, remark }: Reading): void {
  const { check } = draft
  for (let at = 0; at < words.length; at += 2) {
    const [name, value = '', more = ''] = words.slice(at)
    if (name === 'meth') check.method = value
    else if (name === 'uri') check.path = value
    else if (name === 'ver') check.version = value.startsWith('HTTP/') ? value : `HTTP/${value}`
    else if (name === 'hdr') {
      check.headers.push([value, more])
      at += 1
    } else {
      remark({
        about: `http-check send ${name}`,
        says: 'expected meth, uri, ver or hdr',
        severity: 'unknown',
      })
      return
    }
  }
}

export const checkDirectives: Readonly<Record<string, Directive>> = {
  'option httpchk': { read: readHttpchk },
  'option tcp-check': {
    read: ({ draft, line }) => void Object.assign(draft.check, { kind: 'tcp', line }),
  },
  'option pgsql-check': {
    read: ({ draft, line, words }) => {
      const user = words[0] === 'user' ? words[1] : undefined
      Object.assign(draft.check, { kind: 'postgres', line, user: user ?? draft.check.user })
    },
  },
  'http-check expect': { read: readExpect },
  'http-check send': { read: readSend },
  'http-check disable-on-404': {
    read: ({ draft }) => {
      draft.check.drainsOn404 = true
    },
  },
  'http-check send-state': {},
  'http-check connect': { refused: 'the check connects to the server’s own address and port' },
  'tcp-check connect': { inert: 'a connection that opens is good' },
  'tcp-check expect': { refused: 'a connection that opens is good; use option pgsql-check, or httpchk' },
  'tcp-check send': { refused: 'a connection that opens is good; use option pgsql-check, or httpchk' },
  'tcp-check send-binary': { refused: 'a connection that opens is good; use option pgsql-check, or httpchk' },
}
