// The store's section of a patroni.yml: etcd3, or etcd, which is spoken to with the v3 API too.

import { isObject } from '../../cluster/json.ts'
import { UserError } from '../../platform/errors.ts'
import { etcdKeys, otherStores } from './known.ts'
import { parseHostPort, type Section } from './section.ts'
import type { EtcdConfig } from './types.ts'

const CLIENT_PORT = 2379

/** Reads the section and refuses other stores. Throws UserError when no endpoint is named. */
export function readEtcd(top: Section): EtcdConfig {
  refuseOtherStores(top)
  const key = top.has('etcd3') ? 'etcd3' : 'etcd'
  if (!top.has(key)) throw top.wrong('etcd3', 'a section with `host` or `hosts`')
  if (key === 'etcd') {
    top.warn('etcd', 'is spoken to with the etcd v3 API: members that use the v2 API are not seen')
  } else if (top.has('etcd')) {
    top.warn('etcd', 'has no effect, because there is an etcd3 section')
  }
  const section = top.section(key)
  section.warnUnknown(etcdKeys)
  return readEtcdSection(section)
}

/** Reads one section with the keys of an etcd client; the proxy's file has the same. Throws UserError. */
export function readEtcdSection(section: Section): EtcdConfig {
  const found = findEndpoints(section)
  const tls = readTlsFiles(section, found)
  const { username, password } = found.user ?? {}
  return {
    endpoints: found.endpoints,
    srv: found.srv,
    followMembers: !section.has('proxy') && section.boolean('use_proxies') !== true,
    transport: readTransport(section),
    username: section.text('username') ?? username,
    password: section.text('password') ?? password,
    ...tls,
  }
}

interface Found {
  readonly endpoints: readonly string[]
  readonly srv?: EtcdConfig['srv']
  readonly user?: { readonly username: string; readonly password: string }
}

function refuseOtherStores(top: Section): void {
  for (const store of otherStores) {
    if (!top.has(store)) continue
    const refusal = top.wrong(store, 'an etcd3 section: etcd is the store here')
    throw new UserError(
      `${refusal.message.replace(/, found.*$/s, '')} (see docs/other-stores.md for the way over)`,
    )
  }
}

/** The first of these keys counts: proxy, url, the names of srv, hosts, host. */
function findEndpoints(section: Section): Found {
  const protocol = section.text('protocol') ?? 'http'
  if (protocol !== 'http' && protocol !== 'https') throw section.wrong('protocol', 'http or https')
  for (const key of ['proxy', 'url']) if (section.has(key)) return readUrl(section, key)
  for (const key of ['srv', 'discovery_srv', 'srv_domain']) {
    if (section.has(key)) return { endpoints: [], srv: readSrv(section, key) }
  }
  const key = section.has('hosts') ? 'hosts' : 'host'
  const hosts = key === 'hosts' ? readHosts(section) : [section.requiredText('host', 'host:port of etcd')]
  const endpoints = hosts.map(text => {
    // What stands before the @ may be a password and is not shown.
    if (text.includes('@'))
      throw section.wrongSecret(key, 'host:port of etcd; username and password are keys of their own')
    const [, scheme = protocol, rest = ''] = /^(?:(https?):\/\/)?(.*?)\/?$/.exec(text) ?? []
    const address = parseHostPort(rest, CLIENT_PORT)
    if (address === undefined || address.host === '') throw section.wrong(key, 'host:port of etcd')
    return `${scheme}://${bracketed(address.host)}:${address.port}`
  })
  return { endpoints }
}

function readSrv(section: Section, key: string): NonNullable<EtcdConfig['srv']> {
  const domain = section.text(key) ?? ''
  if (!/^[\w-]+(\.[\w-]+)*\.?$/.test(domain)) throw section.wrong(key, 'a DNS domain, such as example.org')
  return { domain: domain.replace(/\.$/, ''), suffix: section.text('srv_suffix') }
}

function readHosts(section: Section): readonly string[] {
  const value = section.values['hosts']
  const listed = typeof value === 'string' ? value.split(',') : value
  const hosts = Array.isArray(listed) ? listed.map(host => (typeof host === 'string' ? host.trim() : '')) : []
  if (hosts.length === 0 || hosts.includes('') || isObject(value)) {
    throw section.wrong('hosts', 'a list of host:port, or text with commas')
  }
  return hosts
}

/** A URL may name the user and the password, as it may for Patroni. */
function readUrl(section: Section, key: string): Found {
  const value = section.text(key) ?? ''
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    // The URL itself may hold a password and is not shown.
    throw section.wrongSecret(key, 'a URL like http://10.0.0.4:2379')
  }
  const port = url.port === '' ? impliedPort(value, url) : Number(url.port)
  const endpoints = [`${url.protocol}//${url.hostname}:${port}`]
  if (url.username === '') return { endpoints }
  const user = { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  return { endpoints, user }
}

/** A URL drops the port that its scheme implies; written out it counts all the same. */
function impliedPort(text: string, url: URL): number {
  const written = /:(\d+)(?:\/.*)?$/.exec(text.slice(text.lastIndexOf('@') + 1))?.[1]
  const implied = url.protocol === 'https:' ? '443' : '80'
  return written === implied ? Number(implied) : CLIENT_PORT
}

function readTransport(section: Section): EtcdConfig['transport'] {
  const transport = section.text('transport') ?? 'grpc'
  if (transport !== 'grpc' && transport !== 'http') throw section.wrong('transport', 'grpc or http')
  return transport
}

function readTlsFiles(
  section: Section,
  { endpoints, srv }: Found,
): Pick<EtcdConfig, 'cacert' | 'cert' | 'key'> {
  const files = { cacert: section.text('cacert'), cert: section.text('cert'), key: section.text('key') }
  if (files.cert === undefined && files.key !== undefined)
    throw section.wrong('cert', 'the certificate of `key`')
  const isPlain = srv === undefined && !endpoints.some(url => url.startsWith('https:'))
  for (const key of ['cacert', 'cert', 'key'] as const) {
    if (isPlain && files[key] !== undefined) section.warn(key, 'has no effect without `protocol: https`')
  }
  return files
}

/** Where etcd is, for messages. */
export function printWhere({ endpoints, srv }: EtcdConfig): string {
  return srv === undefined ? endpoints.join(', ') : `the SRV records of ${srv.domain}`
}

/** An address as it stands in a URL. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
