// Which members a check selects: Patroni's REST paths are the words in which these files say it. Pure.

import type { Expectation } from '../proxy/check-types.ts'
import { defaultFilter } from '../proxy/defaults.ts'
import type { MemberFilter, PoolKind } from '../proxy/types.ts'
import type { CheckDraft } from './draft.ts'

/** What the members of a section are, in a cluster whose keys or answers are known. */
export interface SectionRole {
  readonly pool: PoolKind
  readonly filter: MemberFilter
}

const LEADER = ['/', '/master', '/primary', '/leader', '/read-write']
const READS: Readonly<Record<string, Partial<MemberFilter>>> = {
  '/replica': {},
  '/sync': { sync: 'sync' },
  '/synchronous': { sync: 'sync' },
  '/quorum': { sync: 'sync' },
  '/async': { sync: 'async' },
  '/asynchronous': { sync: 'async' },
}
const ANY: Readonly<Record<string, Partial<MemberFilter>>> = {
  '/read-only': {},
  '/read-only-sync': { sync: 'sync' },
  '/read-only-quorum': { sync: 'sync' },
  '/health': {},
  '/readiness': {},
  '/liveness': {},
}
const LAG_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1024,
  mb: 1024 ** 2,
  gb: 1024 ** 3,
  tb: 1024 ** 4,
}

/** The role that a section's check stands for; undefined: none that a cluster knows, the servers themselves count. */
export function roleOf(check: CheckDraft): SectionRole | undefined {
  if (check.kind !== 'http' || !meansYes(check.expects)) return undefined
  const [path = '', query = ''] = check.path.split('?', 2)
  const bare = path === '/' ? path : path.replace(/\/$/, '')
  const asked = filterOf(new URLSearchParams(query))
  if (LEADER.includes(bare)) return { pool: 'leader', filter: defaultFilter }
  if (bare === '/standby-leader' || bare === '/standby_leader') {
    return { pool: 'standby-leader', filter: defaultFilter }
  }
  const reads = READS[bare]
  if (reads !== undefined) return { pool: 'replica', filter: { ...defaultFilter, ...asked, ...reads } }
  const any = ANY[bare]
  return any === undefined ? undefined : { pool: 'any', filter: { ...defaultFilter, ...asked, ...any } }
}

/** Do 200 and 503 count as the agents mean them: is a member what it was asked for, or not? */
function meansYes(expects: Expectation | undefined): boolean {
  if (expects === undefined) return true
  const isGood = (code: number) =>
    expects.ranges.some(({ from, to }) => code >= from && code <= to) !== expects.negated
  return isGood(200) && !isGood(503)
}

function filterOf(query: URLSearchParams): Partial<MemberFilter> {
  const tags: Record<string, string> = {}
  for (const [name, value] of query) if (name.startsWith('tag_')) tags[name.slice(4)] = value
  const lag = /^(\d+)\s*([kmgt]?b)?$/i.exec(query.get('lag') ?? '')
  const unit = LAG_UNITS[(lag?.[2] ?? '').toLowerCase()] ?? 1
  return {
    tags,
    lagBytesMax: lag === null ? undefined : Number(lag[1]) * unit,
    streamingOnly: query.get('replication_state') === 'streaming',
  }
}
