// `if` and `unless` with conditions about the source address: named ones, and those in braces. They become rules of which the
// first that matches decides.

import type { AccessRule, AccessTerm } from '../proxy/types.ts'
import type { Reading } from './draft.ts'
import { readNetworks } from './values.ts'

/** Why a condition is not read. */
export const onlySources = 'only conditions about the source address (src) are understood'

/** `unless` of many alternatives would become very many rules. */
const RULES_MAX = 64

/** One of these groups must hold, and all terms in it. */
type Groups = readonly (readonly AccessTerm[])[]

const always: AccessTerm = { ranges: undefined, negated: false }
/** Names that every file has. */
const PREDEFINED: Readonly<Record<string, AccessTerm>> = {
  TRUE: always,
  FALSE: { ...always, negated: true },
  LOCALHOST: { ranges: readNetworks(['127.0.0.0/8']) ?? [], negated: false },
}

/** `acl NAME src NETWORK...` or `acl NAME path PATH...`. ACLs of one name add up. */
export function readAcl(reading: Reading): void {
  const [name = '', criterion = '', ...values] = reading.words
  if (isPath(reading.words.slice(1))) {
    reading.draft.pathAcls.add(name)
    return
  }
  const ranges = criterion === 'src' ? readSources(values) : undefined
  if (ranges === undefined) reading.remark({ about: `acl ${name}`, says: onlySources, severity: 'unknown' })
  else reading.draft.acls.set(name, [...(reading.draft.acls.get(name) ?? []), ...ranges])
}

/** The rules of an action with its condition; undefined when the condition is about something else. */
export function readRules(
  { draft }: Reading,
  action: AccessRule['action'],
  condition: readonly string[],
): readonly AccessRule[] | undefined {
  if (condition.length === 0) return [{ action, ...always }]
  const [word, ...rest] = condition
  if (word !== 'if' && word !== 'unless') return undefined
  const groups = readGroups(rest, draft)
  const meant = groups === undefined || word === 'if' ? groups : turnedRound(groups)
  return meant?.map(([first = always, ...also]) => ({
    action,
    ...first,
    ...(also.length > 0 ? { also } : {}),
  }))
}

/** Is this condition about paths alone: always, or `if` with such terms of which none is turned round? */
export function isAboutPaths(condition: readonly string[], { acls, pathAcls }: Reading['draft']): boolean {
  if (condition.length === 0) return true
  const [word, ...rest] = condition
  if (word !== 'if' || rest.length === 0) return false
  const terms = rest.join(' ').match(/\{ [^{}]* \}|\S+/g) ?? []
  const isTerm = (term: string | undefined): boolean => {
    if (term === undefined) return false
    if (term.startsWith('{')) return isPath(term.slice(2, -2).split(' '))
    return pathAcls.has(term) && !acls.has(term)
  }
  const isOr = (term: string | undefined): boolean => term === 'or' || term === '||'
  return terms.every((term, at) => isTerm(term) || (isOr(term) && at > 0 && isTerm(terms[at + 1])))
}

function isPath(words: readonly string[]): boolean {
  return /^path(_beg)?( -i)?( [^\s{}]+)+$/.test(words.join(' '))
}

function readGroups(words: readonly string[], draft: Reading['draft']): Groups | undefined {
  const groups: AccessTerm[][] = [[]]
  for (let at = 0; at < words.length; ) {
    const word = words[at] ?? ''
    if (word === 'or' || word === '||') {
      groups.push([])
      at += 1
      continue
    }
    const found = readTerm(words, at, draft)
    if (found === undefined) return undefined
    groups.at(-1)?.push(found.term)
    at = found.next
  }
  return groups.some(group => group.length === 0) ? undefined : groups
}

/** A name or braces at `from`, turned round by `!` before it, apart or not. */
function readTerm(
  words: readonly string[],
  from: number,
  { acls, pathAcls }: Reading['draft'],
): { readonly term: AccessTerm; readonly next: number } | undefined {
  const isApart = words[from] === '!'
  const at = isApart ? from + 1 : from
  const word = words[at] ?? ''
  const isTurned = isApart || word.startsWith('!')
  const name = isApart ? word : word.replace(/^!/, '')
  const turn = (term: AccessTerm) => ({ ...term, negated: term.negated !== isTurned })
  if (name !== '{') {
    if (pathAcls.has(name)) return undefined
    const ranges = acls.get(name)
    const term = ranges === undefined ? PREDEFINED[name] : { ranges, negated: false }
    return term === undefined ? undefined : { term: turn(term), next: at + 1 }
  }
  const end = words.indexOf('}', at)
  const ranges = end > at && words[at + 1] === 'src' ? readSources(words.slice(at + 2, end)) : undefined
  return ranges === undefined ? undefined : { term: turn({ ranges, negated: false }), next: end + 1 }
}

function readSources(words: readonly string[]): ReturnType<typeof readNetworks> {
  const [flag, kind, ...rest] = words
  const networks = flag === '-m' && kind === 'ip' ? rest : words
  return networks.length === 0 ? undefined : readNetworks(networks)
}

/** None of the groups: in each of them one term does not hold. */
function turnedRound(groups: Groups): Groups | undefined {
  let turned: AccessTerm[][] = [[]]
  for (const group of groups) {
    turned = turned.flatMap(before =>
      group.map(({ ranges, negated }) => [...before, { ranges, negated: !negated }]),
    )
    if (turned.length > RULES_MAX) return undefined
  }
  return turned
}
