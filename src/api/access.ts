// Who may do what: the caller's address, its certificate, its account. Reading is free unless a read-only account is
// configured; what changes something passes all three checks in this order.

import { createHash, timingSafeEqual } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { hostPortOf } from '../cluster/member.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { Account, RestConfig } from '../config/agent/types.ts'
import type { Clock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { type Answer, text } from './answer.ts'

/** What is known of a caller. */
export interface Caller {
  readonly address: string | undefined
  readonly authorization: string | undefined
  /** It showed a certificate that our authority signed. */
  readonly hasCertificate: boolean
}

export type Verdict = { readonly refusal: Answer } | { readonly user: string | undefined }

const REALM = { 'WWW-Authenticate': 'Basic realm="Patroni"' }
const LOOKUP_MS = 2_000
/** How long the addresses of a name count. */
const FRESH_MS = 30_000
const NAMES_MAX = 1_000

interface Resolved {
  readonly addresses: readonly string[]
  readonly atMs: number
}

/** The rules of one configuration. A reload makes new ones. */
export class AccessRules {
  readonly #rest: RestConfig
  readonly #clock: Clock
  readonly #networks: BlockList
  readonly #names: readonly string[]
  readonly #resolved = new Map<string, Resolved>()

  constructor(rest: RestConfig, clock: Clock) {
    this.#rest = rest
    this.#clock = clock
    const { networks, names } = readEntries(rest.allowlist)
    this.#networks = networks
    this.#names = names
  }

  /** May this caller change something? `includesMembers` false leaves members' addresses out of the allow list. */
  async judgeChange(caller: Caller, view: ClusterView | undefined, includesMembers = true): Promise<Verdict> {
    const { allowlist, allowlistIncludesMembers, tls, authentication, readOnly } = this.#rest
    const isGuarded = allowlist.length > 0 || allowlistIncludesMembers
    if (isGuarded && !(await this.#isListed(caller.address, includesMembers ? view : undefined))) {
      return { refusal: text(403, 'Access is denied') }
    }
    if (tls !== undefined && tls.verifyClient !== 'none' && !caller.hasCertificate) {
      return { refusal: text(403, 'client certificate required') }
    }
    if (authentication === undefined) return { user: userOf(caller.authorization) }
    const refusal = refuseAccount([authentication], caller.authorization)
    if (refusal === undefined) return { user: authentication.username }
    const isReader = readOnly !== undefined && refuseAccount([readOnly], caller.authorization) === undefined
    return { refusal: isReader ? text(403, 'this account may only read') : refusal }
  }

  /** May this caller read what is not for everybody? Without a read-only account everybody may. */
  judgeRead(caller: Caller): Answer | undefined {
    const { readOnly, authentication } = this.#rest
    if (readOnly === undefined) return undefined
    const accounts = authentication === undefined ? [readOnly] : [readOnly, authentication]
    return refuseAccount(accounts, caller.authorization)
  }

  async #isListed(address: string | undefined, view: ClusterView | undefined): Promise<boolean> {
    if (address === undefined) return false
    const plain = plainAddress(address)
    if (this.#networks.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')) return true
    const names = [...this.#names, ...(this.#rest.allowlistIncludesMembers ? memberHosts(view) : [])]
    const found = await Promise.all(names.slice(0, NAMES_MAX).map(name => this.#addressesOf(name)))
    return found.some(addresses => addresses.includes(plain))
  }

  /** A name that cannot be resolved in time lets nobody in; its last addresses count until then. */
  async #addressesOf(name: string): Promise<readonly string[]> {
    if (isIP(name) !== 0) return [name]
    const nowMs = this.#clock.monotonicMs()
    const known = this.#resolved.get(name)
    if (known !== undefined && nowMs - known.atMs < FRESH_MS) return known.addresses
    const found = await Deadline.in(this.#clock, LOOKUP_MS)
      .run(`resolving ${name}`, () => lookup(name, { all: true }))
      .catch(() => [])
    const addresses = found.map(({ address }) => plainAddress(address))
    if (this.#resolved.size >= NAMES_MAX) this.#resolved.clear()
    this.#resolved.set(name, { addresses, atMs: nowMs })
    return addresses
  }
}

function readEntries(allowlist: readonly string[]): {
  readonly networks: BlockList
  readonly names: readonly string[]
} {
  const networks = new BlockList()
  const names: string[] = []
  for (const entry of allowlist) {
    const [address = '', prefix] = entry.split('/', 2)
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (isIP(address) === 0) names.push(entry)
    else if (prefix === undefined) networks.addAddress(address, family)
    else networks.addSubnet(address, Number(prefix), family)
  }
  return { networks, names }
}

function memberHosts(view: ClusterView | undefined): readonly string[] {
  const members = view === undefined ? [] : [...view.members.values()]
  return members.flatMap(member => hostPortOf(member.apiUrl)?.host ?? [])
}

/** An IPv4 address that came in over an IPv6 socket is the IPv4 address. */
function plainAddress(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}

/** Undefined when the header names one of the accounts, else the 401 to send. */
function refuseAccount(accounts: readonly Account[], header: string | undefined): Answer | undefined {
  if (header === undefined) return text(401, 'no auth header received', REALM)
  const given = Buffer.from(/^Basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header)?.[1] ?? '', 'base64')
  // All are compared, so that the time does not tell which one came close.
  const matches = accounts.map(({ username, password }) =>
    isSame(given, Buffer.from(`${username}:${password}`)),
  )
  return matches.includes(true) ? undefined : text(401, 'not authenticated', REALM)
}

/** The user that a request names, for the audit line; never its password. */
function userOf(header: string | undefined): string | undefined {
  const given = /^Basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header ?? '')?.[1]
  return given === undefined ? undefined : Buffer.from(given, 'base64').toString('utf8').split(':', 1)[0]
}

/** Digests have one length, so that neither the length nor the first difference shows in the time taken. */
function isSame(given: Buffer, expected: Buffer): boolean {
  const digest = (value: Buffer) => createHash('sha256').update(value).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
