// From the statements of a keepalived.conf to a draft. Every mistake becomes a remark with its place; nothing is thrown.

import { nearestName } from '../haproxy/nearest.ts'
import {
  type FileDraft,
  type Keywords,
  newFileDraft,
  newInstanceDraft,
  newScriptDraft,
  type Reading,
} from './draft.ts'
import { globalKeywords, processKeywords, scriptKeywords } from './global-keywords.ts'
import { instanceKeywords } from './instance-keywords.ts'
import { parseStatements, type Remark, type Statement, type Word } from './tokens.ts'

/** Blocks that are read, and blocks and words that this program has nothing for. */
const BLOCKS = ['global_defs', 'vrrp_script', 'vrrp_track_process', 'vrrp_instance']
const REFUSED: Readonly<Record<string, string>> = {
  vrrp_sync_group: 'instances do not move together: put all addresses into one vrrp_instance',
  virtual_server: 'there is no LVS: give pgherd proxy a listener with these servers',
  virtual_server_group: 'there is no LVS: give pgherd proxy a listener with these servers',
  static_ipaddress: 'only virtual addresses are handled',
  static_routes: 'only virtual addresses are handled',
  static_rules: 'only virtual addresses are handled',
  vrrp_track_file: 'use a vrrp_script that reads the file',
  track_file: 'use a vrrp_script that reads the file',
  track_group: 'only virtual addresses are handled',
  bfd_instance: 'BFD is not spoken: use advert_int 0.1 with version 3',
  linkbeat_use_polling: '',
  garp_group: 'addresses are announced by pgherd’s own schedule',
  include: 'give every file by a -f of its own',
  includer: 'give every file by a -f of its own',
  net_namespace: 'start pgherd in that namespace',
  instance: 'several instances on one host need a file each',
}

export interface ReadFile {
  readonly draft: FileDraft
  readonly remarks: readonly Remark[]
}

/** Does a text look like a keepalived.conf? Its first word is one of its blocks. */
export function isKeepalivedText(text: string): boolean {
  const first = /^\s*([^\s#!{]+)/m.exec(text.replace(/^\s*[#!].*$/gm, ''))?.[1] ?? ''
  return BLOCKS.includes(first) || first === 'global_defs' || (first in REFUSED && first !== 'instance')
}

/** Reads a text. Never throws. */
export function readKeepalived(text: string): ReadFile {
  const { statements, remarks } = parseStatements(text)
  const draft = newFileDraft()
  const reader = new Reader(draft, [...remarks])
  for (const statement of statements) reader.take(statement)
  const all = reader.remarks.sort((a, b) => a.line - b.line || a.column - b.column)
  return { draft, remarks: all }
}

class Reader {
  readonly remarks: Remark[]
  readonly #draft: FileDraft

  constructor(draft: FileDraft, remarks: Remark[]) {
    this.#draft = draft
    this.remarks = remarks
  }

  take(statement: Statement): void {
    const [first, name] = statement.words
    if (first === undefined) return
    const { global, scripts, instances } = this.#draft
    if (first.text.startsWith('@')) {
      this.#remark(first, 'unknown', 'conditions in the file are not read: remove it')
      return
    }
    if (first.text === 'global_defs') this.#block(statement, globalKeywords, global, 'global_defs')
    else if (!BLOCKS.includes(first.text)) {
      const near = nearestName(first.text, [...BLOCKS, ...Object.keys(REFUSED)])
      this.#remark(first, 'unknown', REFUSED[first.text] ?? `unknown block${hint(near)}`)
    } else if (name === undefined) this.#remark(first, 'error', 'a name is missing')
    else if (first.text === 'vrrp_instance') {
      this.#refuseTwice(name, instances)
      const instance = newInstanceDraft(name.text, name)
      instances.push(instance)
      this.#block(statement, instanceKeywords, instance, 'vrrp_instance')
    } else {
      this.#refuseTwice(name, scripts)
      const script = newScriptDraft(name.text, name)
      scripts.push(script)
      const keywords = first.text === 'vrrp_script' ? scriptKeywords : processKeywords
      this.#block(statement, keywords, script, first.text)
    }
  }

  #refuseTwice(word: Word, others: readonly { readonly name: string }[]): void {
    if (others.some(({ name }) => name === word.text)) {
      this.#remark(word, 'error', 'there is another one of this name')
    }
  }

  #block<T>(statement: Statement, keywords: Keywords<T>, draft: T, where: string): void {
    for (const inner of statement.block ?? []) {
      const [keyword, ...words] = inner.words
      if (keyword === undefined) continue
      const known = Object.hasOwn(keywords, keyword.text) ? keywords[keyword.text] : undefined
      if (known === undefined) {
        const isCondition = keyword.text.startsWith('@')
        const near = nearestName(keyword.text, Object.keys(keywords))
        const says = isCondition
          ? 'conditions in the file are not read: remove it'
          : `unknown in ${where}${hint(near)}`
        this.#remark(keyword, 'unknown', says)
        continue
      }
      if (known.inert !== undefined) this.#remark(keyword, 'warning', `has no effect: ${known.inert}`)
      if (known.refused !== undefined) this.#remark(keyword, 'unknown', known.refused)
      const reading: Reading<T> = {
        draft,
        statement: inner,
        keyword,
        words,
        block: inner.block ?? [],
        remark: (severity, says, at = keyword) => this.#remark(at, severity, says, keyword.text),
      }
      known.read?.(reading)
    }
  }

  #remark(at: Word, severity: Remark['severity'], says: string, about = at.text): void {
    this.remarks.push({ line: at.line, column: at.column, about, says, severity })
  }
}

function hint(near: string | undefined): string {
  return near === undefined ? '' : `; did you mean ${near}?`
}
