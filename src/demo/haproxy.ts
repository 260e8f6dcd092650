// The haproxy.cfg that people put in front of Patroni, as a widely copied article has it. Pure.

import type { RouterPorts } from './router.ts'

/** HAProxy's timings: how often it probes, and how many answers in a row change its mind. */
export interface HaproxyTimings {
  readonly intervalMs: number
  readonly fall: number
  readonly rise: number
}

/** A server behind it. */
export interface HaproxyServer {
  readonly name: string
  readonly address: string
  readonly postgresPort: number
  readonly restPort: number
}

/** The whole file, listening on `address`. */
export function haproxyText(
  address: string,
  ports: RouterPorts,
  servers: readonly HaproxyServer[],
  { intervalMs, fall, rise }: HaproxyTimings,
): string {
  const inter = intervalMs % 1000 === 0 ? `${intervalMs / 1000}s` : `${intervalMs}ms`
  const lines = servers.map(
    server =>
      `    server ${server.name} ${server.address}:${server.postgresPort} maxconn 100 check port ${server.restPort}`,
  )
  const pool = (name: string, port: number, check: string) => [
    `listen ${name}`,
    `    bind ${address}:${port}`,
    `    ${check}`,
    '    http-check expect status 200',
    `    default-server inter ${inter} fall ${fall} rise ${rise} on-marked-down shutdown-sessions`,
    ...lines,
    '',
  ]
  return [
    ...['global', '    maxconn 100', ''],
    ...['defaults', '    mode tcp', '    retries 2', '    timeout client 30m', '    timeout connect 4s'],
    ...['    timeout server 30m', '    timeout check 5s', ''],
    ...['listen stats', '    mode http', `    bind ${address}:${ports.admin}`],
    ...['    stats enable', '    stats uri /', ''],
    ...pool('pgsql', ports.write, 'option httpchk'),
    ...pool('pgsql_read', ports.read, 'option httpchk GET /replica'),
  ].join('\n')
}
