// From the server lines of a section to servers with checks. HAProxy's own defaults are filled in here.

import type { HostPort } from '../../cluster/member.ts'
import type { CheckSpec, Question } from '../proxy/check-types.ts'
import type { ServerOptions } from '../proxy/types.ts'
import type { CheckDraft, SectionDraft, ServerLine } from './draft.ts'
import { roleOf } from './roles.ts'
import type { Remark } from './tokens.ts'

const INTER_MS = 2000
const RISE = 2
const FALL = 3
/** Codes 200 to 399, when the file expects nothing else. */
const GOOD_BY_DEFAULT = { ranges: [{ from: 200, to: 399 }], negated: false } as const

/** Names of servers by address: one server has one name, whatever its sections call it. */
export class ServerNames {
  readonly #byAddress = new Map<string, string>()
  readonly #taken = new Set<string>()

  /** `inSection`: the names that this section has given so far. Two lines of a section are two servers, at one address too. */
  nameOf(section: string, server: ServerLine, inSection: ReadonlySet<string>): string {
    const address = `${server.host}:${server.port}`
    const known = this.#byAddress.get(address)
    if (known !== undefined && !inSection.has(known)) return known
    const name = this.#taken.has(server.name) ? `${section}/${server.name}` : server.name
    if (known === undefined) this.#byAddress.set(address, name)
    this.#taken.add(name)
    return name
  }
}

/** What servers are built from, besides their own section. */
export interface ServerSurroundings {
  readonly names: ServerNames
  /** All sections, for `track`. */
  readonly sections: readonly SectionDraft[]
  readonly remarks: Remark[]
}

/** A section's servers. */
export function buildServers(
  section: SectionDraft,
  { names, sections, remarks }: ServerSurroundings,
): readonly ServerOptions[] {
  const given = new Set<string>()
  return section.servers.map(server => {
    const name = names.nameOf(section.name, server, given)
    given.add(name)
    return buildServer(section, server, name, findCheck(section, server, sections, remarks))
  })
}

/** The line whose check says how a server does, and its section; undefined: nothing is asked. */
interface Checked {
  readonly section: SectionDraft
  readonly server: ServerLine
}

function buildServer(
  section: SectionDraft,
  server: ServerLine,
  name: string,
  checked: Checked | undefined,
): ServerOptions {
  const { parameters } = server
  const { weight = 1, maxconn, maxqueue, backup = false, disabled = false } = parameters
  return {
    name,
    address: { host: server.host, port: server.port },
    weight,
    connectionsMax: maxconn === 0 ? undefined : maxconn,
    queueMax: maxqueue === 0 ? undefined : maxqueue,
    isBackup: backup,
    takesLeader: backup && takesLeader(checked),
    isDisabled: disabled,
    slowStartMs: parameters.slowstartMs ?? 0,
    sendProxy: parameters.sendProxy,
    source: parameters.source ?? section.source,
    check: checked === undefined ? undefined : buildCheck(checked),
    cutsWhenDown: parameters.cutsWhenDown === true,
    cutsBackupsWhenUp: parameters.cutsBackupsWhenUp === true,
  }
}

function buildCheck({ section, server }: Checked): CheckSpec {
  const { parameters } = server
  const target: HostPort = { host: parameters.addr ?? server.host, port: parameters.port ?? server.port }
  const intervalMs = parameters.interMs ?? INTER_MS
  return {
    question: questionOf(section.check),
    target,
    tls:
      parameters.checkSsl === true
        ? {
            verify: parameters.verify !== false,
            caFile: parameters.caFile,
            certFile: parameters.crtFile,
            keyFile: parameters.crtFile,
            serverName: parameters.serverName,
            verifiedName: parameters.serverName ?? parameters.verifyHost,
          }
        : undefined,
    sendProxy:
      parameters.checkSendProxy === true || (parameters.sendProxy !== undefined && isOwnPort(server)),
    intervalMs,
    fastIntervalMs: parameters.fastinterMs ?? intervalMs,
    downIntervalMs: parameters.downinterMs ?? intervalMs,
    rise: parameters.rise ?? RISE,
    fall: parameters.fall ?? FALL,
    ...timeoutsOf(section, intervalMs),
  }
}

/** The check's PROXY header follows that of the traffic only while it goes to the same port. */
function isOwnPort({ parameters, port }: ServerLine): boolean {
  return parameters.addr === undefined && (parameters.port === undefined || parameters.port === port)
}

/** Without `timeout check` the interval covers both phases; with it, it is the answer's, and the connection has its own. */
function timeoutsOf({ timeouts }: SectionDraft, intervalMs: number) {
  const answerMs = timeouts.check?.ms
  if (answerMs === undefined) return { connectTimeoutMs: intervalMs, timeoutMs: intervalMs }
  const connectTimeoutMs = Math.min(timeouts.connect?.ms ?? intervalMs, intervalMs)
  return { connectTimeoutMs, timeoutMs: connectTimeoutMs + answerMs }
}

function questionOf(check: CheckDraft): Question {
  if (check.kind === 'tcp') return { kind: 'tcp' }
  if (check.kind === 'postgres') return { kind: 'postgres', user: check.user }
  const { method, path, version, headers, drainsOn404 } = check
  return {
    kind: 'http',
    method,
    path,
    version,
    headers,
    expects: check.expects ?? GOOD_BY_DEFAULT,
    drainsOn404,
  }
}

/** Is a server up by its line while it leads: because nothing is asked, or because its check asks for that? */
function takesLeader(checked: Checked | undefined): boolean {
  if (checked === undefined || checked.section.check.kind !== 'http') return true
  const pool = roleOf(checked.section.check)?.pool
  return pool === 'leader' || pool === 'any'
}

/** Follows `track section/server`, or `track server` of the same section, to the line that has a check. */
function findCheck(
  section: SectionDraft,
  server: ServerLine,
  sections: readonly SectionDraft[],
  remarks: Remark[],
): Checked | undefined {
  let at: Checked = { section, server }
  const seen = new Set<ServerLine>()
  for (let track = server.parameters.track; track !== undefined; track = at.server.parameters.track) {
    const [first = '', second] = track.split('/', 2)
    const owner = second === undefined ? at.section : sections.find(({ name }) => name === first)
    const found = owner?.servers.find(({ name }) => name === (second ?? first))
    const says =
      owner === undefined || found === undefined
        ? `there is no server ${track}`
        : seen.has(found)
          ? 'servers track each other in a circle'
          : undefined
    if (owner === undefined || found === undefined || says !== undefined) {
      remarks.push({
        line: server.line,
        about: `server ${server.name} track`,
        says: says ?? '',
        severity: 'error',
      })
      return undefined
    }
    seen.add(found)
    at = { section: owner, server: found }
  }
  if (at.server.parameters.check === true) return at
  if (server.parameters.track !== undefined) {
    const says = `${server.parameters.track} has no check that could be tracked`
    remarks.push({ line: server.line, about: `server ${server.name} track`, says, severity: 'error' })
  }
  return undefined
}
