// From the server lines of a section to servers with checks. HAProxy's own defaults are filled in here.

import type { HostPort } from '../../cluster/member.ts'
import type { CheckSpec, Question } from '../proxy/check-types.ts'
import type { ServerOptions } from '../proxy/types.ts'
import type { CheckDraft, SectionDraft, ServerLine } from './draft.ts'

const INTER_MS = 2000
const RISE = 2
const FALL = 3
/** Codes 200 to 399, when the file expects nothing else. */
const GOOD_BY_DEFAULT = { ranges: [{ from: 200, to: 399 }], negated: false } as const

/** Names of servers by address: one server has one name, whatever its sections call it. */
export class ServerNames {
  readonly #byAddress = new Map<string, string>()
  readonly #taken = new Set<string>()

  nameOf(section: string, server: ServerLine): string {
    const address = `${server.host}:${server.port}`
    const known = this.#byAddress.get(address)
    if (known !== undefined) return known
    const name = this.#taken.has(server.name) ? `${section}/${server.name}` : server.name
    this.#byAddress.set(address, name)
    this.#taken.add(name)
    return name
  }
}

/** A section's servers. `others` resolves `track`. */
export function buildServers(
  section: SectionDraft,
  names: ServerNames,
  others: readonly SectionDraft[],
): readonly ServerOptions[] {
  return section.servers.map(server =>
    buildServer(section, server, names.nameOf(section.name, server), others),
  )
}

function buildServer(
  section: SectionDraft,
  server: ServerLine,
  name: string,
  others: readonly SectionDraft[],
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
    isDisabled: disabled,
    slowStartMs: parameters.slowstartMs ?? 0,
    sendProxy: parameters.sendProxy,
    source: parameters.source ?? section.source,
    check: buildCheck(section, server, others),
    cutsWhenDown: parameters.cutsWhenDown === true,
    cutsBackupsWhenUp: parameters.cutsBackupsWhenUp === true,
  }
}

function buildCheck(
  section: SectionDraft,
  server: ServerLine,
  others: readonly SectionDraft[],
): CheckSpec | undefined {
  const { parameters } = server
  if (parameters.track !== undefined) return trackedCheck(section, parameters.track, others)
  if (parameters.check !== true) return undefined
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

/** `track section/server`, or `track server` of the same section. */
function trackedCheck(
  section: SectionDraft,
  track: string,
  others: readonly SectionDraft[],
): CheckSpec | undefined {
  const [first = '', second] = track.split('/', 2)
  const owner = second === undefined ? section : others.find(other => other.name === first)
  const server = owner?.servers.find(({ name }) => name === (second ?? first))
  // A server that tracks a tracking one would be a circle, which no file can mean.
  if (owner === undefined || server === undefined || server.parameters.track !== undefined) return undefined
  return buildCheck(owner, server, others)
}
