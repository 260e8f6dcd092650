// The configuration of ctl: an ordinary patroni.yml, the PATRONI_* variables, or a URL; nothing of the server is needed.

import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../platform/errors.ts'
import { bracketed, readEtcd, readEtcdSection } from './etcd.ts'
import { readNamespace } from './local.ts'
import { Places } from './places.ts'
import { readRestClient } from './rest.ts'
import { parseHostPort, type Reading, Section } from './section.ts'
import { readSource, type Source } from './source.ts'
import type { EtcdConfig, RestClientConfig } from './types.ts'

export interface CtlConfig {
  readonly scope: string | undefined
  /** As `/service`, without a slash at its end. */
  readonly namespace: string
  readonly etcd: EtcdConfig
  /** For REST calls: of the `ctl` section, else of `restapi`. */
  readonly restClient: RestClientConfig
}

export interface CtlSources {
  /** Of -c; undefined: PATRONICTL_CONFIG_FILE, else patronictl.yaml of the user, which may be missing. */
  readonly file: string | undefined
  /** Of -d; undefined: DCS_URL. Replaces what the file says about the store. */
  readonly dcsUrl: string | undefined
}

/** Reads it all; PATRONI_* variables are removed from `env`. Throws UserError for what is missing or unreadable. */
export async function loadCtlConfig(sources: CtlSources, env: NodeJS.ProcessEnv): Promise<CtlConfig> {
  const named = sources.file ?? nonEmpty(env['PATRONICTL_CONFIG_FILE'])
  const dcsUrl = sources.dcsUrl ?? nonEmpty(env['DCS_URL'])
  return ctlConfig(await readSources(named, dcsUrl !== undefined, env), dcsUrl)
}

async function readSources(
  named: string | undefined,
  mayBeEmpty: boolean,
  env: NodeJS.ProcessEnv,
): Promise<Source> {
  if (named !== undefined) return readSource(named, env, 'error')
  try {
    return await readSource(defaultFile(env), env)
  } catch (error) {
    const isMissing = error instanceof UserError && error.message.includes('no such file')
    if (!isMissing) throw error
    if (mayBeEmpty) return { file: 'environment', value: {}, places: new Places() }
    throw new UserError(
      'no configuration: give -c FILE or -d URL, or set PATRONICTL_CONFIG_FILE, DCS_URL or PATRONI_*',
    )
  }
}

function defaultFile(env: NodeJS.ProcessEnv): string {
  const base = nonEmpty(env['XDG_CONFIG_HOME']) ?? join(homedir(), '.config')
  return join(base, 'patroni', 'patronictl.yaml')
}

/** The typed form. Pure. */
export function ctlConfig(source: Source, dcsUrl: string | undefined): CtlConfig {
  const reading: Reading = { file: source.file, places: source.places, warnings: [] }
  const top = new Section(source.value, [], reading)
  const url = dcsUrl === undefined ? undefined : readDcsUrl(dcsUrl)
  return {
    scope: top.text('scope'),
    namespace: url?.namespace ?? readNamespace(top),
    etcd: url === undefined ? readEtcd(top) : withEndpoint(top, url),
    restClient: readRestClient(top),
  }
}

interface DcsUrl {
  readonly endpoint: string
  /** http or https was written; otherwise the file's `protocol` counts. */
  readonly isSchemeGiven: boolean
  /** Undefined when the URL has no path. */
  readonly namespace: string | undefined
}

/** What patronictl takes a port for when the URL has no scheme. */
const STORES_BY_PORT: ReadonlyMap<number, string> = new Map([
  [2181, 'zookeeper'],
  [8181, 'exhibitor'],
  [8500, 'consul'],
])

/**
 * `[scheme://]host[:port][/namespace]`; etcd, etcd3, http and https mean etcd, and so does no scheme, unless the port is that
 * of another store: a script that was written for a Consul must not be told that an etcd does not answer.
 */
export function readDcsUrl(text: string): DcsUrl {
  const match = /^(?:([a-z0-9]+):\/\/)?([^/]*)(\/.*)?$/i.exec(text.trim())
  const scheme = (match?.[1] ?? 'etcd').toLowerCase()
  const address = parseHostPort(match?.[2] ?? '', 2379)
  if (!['etcd', 'etcd3', 'http', 'https'].includes(scheme)) {
    throw new UserError(
      `${text}: expected the URL of an etcd: etcd is the store here (see docs/other-stores.md)`,
    )
  }
  const other = match?.[1] === undefined ? STORES_BY_PORT.get(address?.port ?? 0) : undefined
  if (other !== undefined) {
    throw new UserError(
      `${text}: without a scheme this port means ${other}, and etcd is the store here (see docs/other-stores.md); ` +
        `for an etcd on this port write etcd3://${text.trim()}`,
    )
  }
  if (address === undefined || address.host === '') {
    throw new UserError(`${text}: expected [etcd3://]host:port[/namespace]`)
  }
  const words = (match?.[3] ?? '').split('/').filter(word => word !== '')
  return {
    isSchemeGiven: scheme.startsWith('http'),
    endpoint: `${scheme === 'https' ? 'https' : 'http'}://${bracketed(address.host)}:${address.port}`,
    namespace: words.length === 0 ? undefined : words.map(word => `/${word}`).join(''),
  }
}

/** User, certificates and transport of the file still count when only the address comes from the URL. */
function withEndpoint(top: Section, { endpoint, isSchemeGiven }: DcsUrl): EtcdConfig {
  const section = top.section(top.has('etcd3') ? 'etcd3' : 'etcd')
  const others = { proxy: null, srv: null, discovery_srv: null, srv_domain: null, hosts: null }
  const address = isSchemeGiven
    ? { url: endpoint }
    : { url: null, host: endpoint.replace(/^https?:\/\//, '') }
  return readEtcdSection(section.with({ ...others, ...address }))
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
