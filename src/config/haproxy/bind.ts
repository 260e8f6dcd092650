// `bind` lines: where a section listens.

import type { Bind } from '../proxy/types.ts'
import type { Reading } from './draft.ts'
import { readBinds, readDurationMs } from './values.ts'

/** Parameters that change nothing here, and whether they have a value. */
const INERT: Readonly<Record<string, boolean>> = {
  maxconn: true,
  name: true,
  id: true,
  backlog: true,
  nice: true,
  process: true,
  thread: true,
  mss: true,
  'defer-accept': false,
  tfo: false,
  level: true,
  mode: true,
  user: true,
  group: true,
  gid: true,
  uid: true,
}
const others = 'listening is by address alone: give the address of that interface'
/** Without them the port would be open to others, or not to those that it is for; and whether they have a value. */
const REFUSED: Readonly<Record<string, { readonly hasValue: boolean; readonly says: string }>> = {
  interface: { hasValue: true, says: others },
  namespace: { hasValue: true, says: 'listening is in the namespace of the process alone' },
  transparent: { hasValue: false, says: 'addresses that this host does not have cannot be listened on' },
}

/** Reads a `bind` line into the draft. */
export function readBind(reading: Reading): void {
  const { draft, line, remark } = reading
  const [address = '', ...words] = reading.words
  const binds = readBinds(address)
  const wrong = (about: string, expected: string) =>
    remark({ about, says: `expected ${expected}`, severity: 'error' })
  if (binds === undefined) {
    wrong(`bind ${address}`, 'an address with one port, such as *:5000 or 10.0.0.4:5000')
    return
  }
  let acceptsProxy = false
  let isV6Only = false
  let unackedMs: number | undefined
  for (let at = 0; at < words.length; at += 1) {
    const name = words[at] ?? ''
    const refused = REFUSED[name]
    if (name === 'accept-proxy') acceptsProxy = true
    else if (name === 'v6only') isV6Only = true
    // `::` takes IPv4, too, unless v6only is there.
    else if (name === 'v4v6') continue
    else if (name === 'tcp-ut') {
      at += 1
      unackedMs = readDurationMs(words[at] ?? '')
      if (unackedMs === undefined) wrong(`bind tcp-ut ${words[at] ?? ''}`, 'a duration such as 30s')
    } else if (refused !== undefined) {
      if (refused.hasValue) at += 1
      remark({ about: `bind ${name}`, says: refused.says, severity: 'unknown' })
    } else if (INERT[name] !== undefined) {
      if (INERT[name]) at += 1
      remark({ about: `bind ${name}`, says: 'has no effect here', severity: 'warning' })
    } else {
      const says =
        name === 'ssl' ? 'TLS is not ended here: it passes through to the server' : 'unknown parameter'
      remark({ about: `bind ${name}`, says, severity: 'unknown' })
      return
    }
  }
  const all = isV6Only ? binds.map(onlyV6) : binds
  draft.binds.push({ line, binds: all, acceptsProxy, unackedMs })
}

/** The same without IPv4 clients, where it is an address of IPv6. */
export function onlyV6(bind: Bind): Bind {
  return bind.host?.includes(':') === true ? { ...bind, ipv6Only: true } : bind
}

/**
 * All addresses of some lines. `*` and `::` with one port share it in HAProxy; here `::` leaves IPv4 to the other, or the
 * second of them could not be had.
 */
export function bindsOf(lines: readonly { readonly binds: readonly Bind[] }[]): readonly Bind[] {
  const binds = lines.flatMap(line => line.binds)
  const isPaired = ({ host, port }: Bind) =>
    host === '::' && binds.some(other => other.host === '0.0.0.0' && other.port === port)
  return binds.map(bind => (isPaired(bind) ? onlyV6(bind) : bind))
}
