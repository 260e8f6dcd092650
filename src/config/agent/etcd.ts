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
  return {
    endpoints: readEndpoints(section),
    username: section.text('username'),
    password: section.text('password'),
    cacert: section.text('cacert'),
    cert: section.text('cert'),
    key: section.text('key'),
  }
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

function readEndpoints(section: Section): readonly string[] {
  const protocol = section.text('protocol') ?? 'http'
  if (protocol !== 'http' && protocol !== 'https') throw section.wrong('protocol', 'http or https')
  for (const key of ['url', 'proxy']) {
    if (section.has(key)) return [readUrl(section, key)]
  }
  for (const key of ['srv', 'discovery_srv', 'srv_domain']) {
    if (section.has(key)) throw section.wrong(key, 'no DNS discovery: name the members in `hosts`')
  }
  const key = section.has('hosts') ? 'hosts' : 'host'
  const hosts = key === 'hosts' ? readHosts(section) : [section.requiredText('host', 'host:port of etcd')]
  return hosts.map(text => {
    const address = parseHostPort(text, CLIENT_PORT)
    if (address === undefined || address.host === '') throw section.wrong(key, 'host:port of etcd')
    return `${protocol}://${bracketed(address.host)}:${address.port}`
  })
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

function readUrl(section: Section, key: string): string {
  const value = section.text(key) ?? ''
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw section.wrong(key, 'a URL like http://10.0.0.4:2379')
  }
  const port = url.port === '' ? CLIENT_PORT : Number(url.port)
  return `${url.protocol}//${url.hostname}:${port}`
}

/** An address as it stands in a URL. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
