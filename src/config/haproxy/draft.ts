// A section of a haproxy.cfg while it is read. `defaults` sections are drafts that others begin from.

import type { Expectation } from '../proxy/check-types.ts'
import type { AccessRule, AddressRange, Balance, Bind } from '../proxy/types.ts'
import type { Remark } from './tokens.ts'

export type SectionKind = 'defaults' | 'listen' | 'frontend' | 'backend'

/** Where `tcp-request` looks: at whoever connects, after the PROXY header, and with the first bytes. */
export type RuleLevel = 'connection' | 'session' | 'content'

export type TimeoutName =
  | 'client'
  | 'server'
  | 'connect'
  | 'queue'
  | 'check'
  | 'tunnel'
  | 'client-fin'
  | 'server-fin'

/** How servers of a section are asked; the first directive that says it wins over the plain connection. */
export interface CheckDraft {
  kind: 'tcp' | 'http' | 'postgres'
  method: string
  path: string
  version: string
  headers: [string, string][]
  expects: Expectation | undefined
  drainsOn404: boolean
  user: string
  /** Where `option httpchk` stands; undefined when it is not there. */
  line: number | undefined
}

/** Parameters of a `server` or `default-server` line; undefined: not said. */
export interface ServerDraft {
  check?: boolean
  port?: number
  addr?: string
  interMs?: number
  fastinterMs?: number
  downinterMs?: number
  rise?: number
  fall?: number
  weight?: number
  maxconn?: number
  maxqueue?: number
  slowstartMs?: number
  backup?: boolean
  disabled?: boolean
  cutsWhenDown?: boolean
  cutsBackupsWhenUp?: boolean
  sendProxy?: 'v1' | 'v2' | undefined
  checkSendProxy?: boolean
  source?: string
  /** tcp-ut. */
  unackedMs?: number
  checkSsl?: boolean
  verify?: boolean
  caFile?: string
  crtFile?: string
  serverName?: string
  verifyHost?: string
  track?: string
}

export interface ServerLine {
  readonly name: string
  readonly line: number
  readonly host: string
  readonly port: number
  readonly parameters: ServerDraft
}

export interface BindLine {
  readonly line: number
  readonly binds: readonly Bind[]
  readonly acceptsProxy: boolean
  /** tcp-ut. */
  readonly unackedMs: number | undefined
}

export interface SectionDraft {
  readonly kind: SectionKind
  readonly name: string
  readonly line: number
  mode: 'tcp' | 'http' | 'unset'
  binds: BindLine[]
  maxconn: number | undefined
  timeouts: Partial<Record<TimeoutName, { readonly ms: number; readonly line: number }>>
  retries: number
  balance: Balance
  allBackups: boolean
  check: CheckDraft
  defaultServer: ServerDraft
  servers: ServerLine[]
  /** Those about the source. A name may be in both: then either is enough. */
  acls: Map<string, readonly AddressRange[]>
  /** Those about the path of a request, which counts on a status page alone. */
  pathAcls: Set<string>
  /** Rules about the source, by their level: each level is a list of its own. */
  rules: Record<RuleLevel, AccessRule[]>
  perSecond: number | undefined
  defaultBackend: { readonly name: string; readonly line: number } | undefined
  isStats: boolean
  /** `name:password`. */
  statsUsers: string[]
  statsRealm: string
  /** What the address of the page begins with; it may have a question mark. */
  statsUri: string
  /** What `http-request` lets in and keeps out of a status page; without rules: it cannot be read. */
  httpRules: {
    readonly line: number
    readonly about: string
    readonly rules: readonly AccessRule[] | undefined
  }[]
  isDisabled: boolean
  keepsAlive: {
    client: boolean
    server: boolean
    clientIdleMs: number | undefined
    serverIdleMs: number | undefined
  }
  source: string | undefined
  /** Lines of directives that traps look for, by name. */
  seen: Map<string, number>
}

/** What every reader of a directive gets. */
export interface Reading {
  readonly draft: SectionDraft
  readonly line: number
  /** The words after the directive's own. */
  readonly words: readonly string[]
  readonly remark: (remark: Omit<Remark, 'line'>) => void
}

export function newDraft(kind: SectionKind, name: string, line: number): SectionDraft {
  return {
    kind,
    name,
    line,
    mode: 'unset',
    binds: [],
    maxconn: undefined,
    timeouts: {},
    retries: 3,
    balance: { kind: 'roundrobin' },
    allBackups: false,
    check: {
      kind: 'tcp',
      method: 'OPTIONS',
      path: '/',
      version: 'HTTP/1.0',
      headers: [],
      expects: undefined,
      drainsOn404: false,
      user: 'haproxy',
      line: undefined,
    },
    defaultServer: {},
    servers: [],
    acls: new Map(),
    pathAcls: new Set(),
    rules: { connection: [], session: [], content: [] },
    perSecond: undefined,
    defaultBackend: undefined,
    isStats: false,
    statsUsers: [],
    statsRealm: 'HAProxy Statistics',
    statsUri: '/haproxy?stats',
    httpRules: [],
    isDisabled: false,
    keepsAlive: { client: false, server: false, clientIdleMs: undefined, serverIdleMs: undefined },
    source: undefined,
    seen: new Map(),
  }
}

/** A section that begins from a `defaults` section. */
export function draftFrom(
  defaults: SectionDraft,
  kind: SectionKind,
  name: string,
  line: number,
): SectionDraft {
  return {
    ...defaults,
    kind,
    name,
    line,
    binds: [],
    servers: [],
    // Conditions are read already; their names are not known in other sections.
    acls: new Map(),
    pathAcls: new Set(),
    rules: {
      connection: [...defaults.rules.connection],
      session: [...defaults.rules.session],
      content: [...defaults.rules.content],
    },
    statsUsers: [...defaults.statsUsers],
    httpRules: [...defaults.httpRules],
    timeouts: { ...defaults.timeouts },
    check: { ...defaults.check, headers: [...defaults.check.headers] },
    defaultServer: { ...defaults.defaultServer },
    keepsAlive: { ...defaults.keepsAlive },
    seen: new Map(defaults.seen),
  }
}
