// The `restapi` and `ctl` sections: how a member's REST server is reached and guarded, and how it is called.

import { isIP } from 'node:net'
import { isObject } from '../../cluster/json.ts'
import type { HostPort } from '../../cluster/member.ts'
import { ctlKeys, restKeys } from './known.ts'
import { warnInert } from './postgres.ts'
import type { Section } from './section.ts'
import type { Account, RestClientConfig, RestConfig, RestTlsConfig } from './types.ts'

const REST_PORT = 8008
const VERIFY = ['none', 'optional', 'required'] as const
const TOKENS = ['original', 'minimal', 'productonly'] as const

/** The server's side. Throws UserError for a missing or mistyped setting. */
export function readRest(top: Section): RestConfig {
  const section = top.section('restapi')
  section.warnUnknown(restKeys)
  warnInert(section, 'restapi')
  section.requiredText('listen', 'host:port')
  const listen = section.hostPort('listen', REST_PORT)
  if (listen === undefined) throw section.wrong('listen', 'host:port')
  const connectAddress = section.hostPort('connect_address', REST_PORT, 'host:port that others reach')
  const tls = readTls(section)
  return {
    listen,
    connectAddress: connectAddress ?? reachable(section, listen),
    authentication: readAccount(section, 'authentication'),
    readOnly: readAccount(section, 'read_only_authentication'),
    tls,
    allowlist: readAllowlist(section),
    allowlistIncludesMembers: section.boolean('allowlist_include_members') ?? false,
    extraHeaders: {
      ...readHeaders(section, 'http_extra_headers'),
      ...(tls === undefined ? {} : readHeaders(section, 'https_extra_headers')),
    },
    serverTokens: readWord(section, 'server_tokens', TOKENS, 'original'),
  }
}

/** The caller's side, for ctl and for members that ask each other: the `ctl` section, then `restapi`. */
export function readRestClient(top: Section): RestClientConfig {
  const ctl = top.section('ctl')
  const rest = top.section('restapi')
  ctl.warnUnknown(ctlKeys)
  const either = (key: string): string | undefined => ctl.text(key) ?? rest.text(key)
  return {
    authentication: readAccount(ctl, 'authentication') ?? readAccount(rest, 'authentication'),
    insecure: ctl.boolean('insecure') ?? false,
    cacert: ctl.text('cacert') ?? rest.text('cafile'),
    certfile: either('certfile'),
    keyfile: either('keyfile'),
    keyfilePassword: either('keyfile_password'),
  }
}

function reachable(section: Section, listen: HostPort): HostPort {
  if (!['', '*', '0.0.0.0', '::'].includes(listen.host)) return listen
  throw section.wrong('connect_address', 'host:port that others reach (`listen` names all addresses)')
}

/** User and password; both or none. */
function readAccount(section: Section, key: string): Account | undefined {
  const account = section.section(key)
  if (!account.stands('username') && !account.stands('password')) return undefined
  return {
    username: account.requiredText('username', 'a user name beside the password'),
    password: account.requiredText('password', 'a password beside the user name'),
  }
}

function readTls(section: Section): RestTlsConfig | undefined {
  const certfile = section.text('certfile')
  const verifyClient = readWord(section, 'verify_client', VERIFY, 'none')
  if (certfile === undefined) {
    if (verifyClient !== 'none')
      throw section.wrong('certfile', 'a certificate, because verify_client is set')
    return undefined
  }
  const cafile = section.text('cafile')
  if (verifyClient !== 'none' && cafile === undefined) {
    throw section.wrong('cafile', 'the authority of the client certificates, because verify_client is set')
  }
  return {
    certfile,
    keyfile: section.text('keyfile'),
    keyfilePassword: section.text('keyfile_password'),
    cafile,
    ciphers: section.text('ciphers'),
    verifyClient,
  }
}

/** A guard that is spelled wrong, or lost with a variable, must not be taken for none. */
function readWord<T extends string>(section: Section, key: string, words: readonly T[], fallback: T): T {
  const given = section.stands(key) ? (section.text(key) ?? '').toLowerCase() : undefined
  if (given === undefined) return fallback
  const found = words.find(word => word === given)
  if (found === undefined) throw section.wrong(key, words.join(', '))
  return found
}

function readAllowlist(section: Section): readonly string[] {
  const entries = section.lines('allowlist') ?? []
  const listed = entries.map(entry => entry.trim()).filter(entry => entry !== '')
  if (!listed.every(isAllowlistEntry)) {
    throw section.wrong('allowlist', 'addresses, networks like 10.0.0.0/8, or host names')
  }
  return listed
}

function isAllowlistEntry(entry: string): boolean {
  const [address = '', prefix] = entry.split('/')
  if (prefix === undefined) return /^[A-Za-z0-9._:-]+$/.test(address)
  const bits = isIP(address) === 6 ? 128 : isIP(address) === 4 ? 32 : -1
  return /^\d+$/.test(prefix) && Number(prefix) <= bits && entry.split('/').length === 2
}

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

function readHeaders(section: Section, key: string): Readonly<Record<string, string>> {
  const values = section.values[key]
  if (values === undefined || values === null) return {}
  if (!isObject(values)) throw section.wrong(key, 'a mapping of names to values')
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(values)) {
    const text = String(value)
    if (!HEADER_NAME.test(name) || /[\r\n\0]/.test(text))
      throw section.wrong(key, 'names and values of HTTP headers')
    headers[name] = text
  }
  return headers
}
