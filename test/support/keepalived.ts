// Debian's keepalived on a host of a test network, with the same verbs as everything else.

import { writeFile } from 'node:fs/promises'
import type { Host } from '../../src/demo/host.ts'
import type { Server } from '../../src/demo/server.ts'

/** One VRRP instance, as people configure it in front of HAProxy. */
export interface KeepalivedOptions {
  readonly address: string
  readonly routerId: number
  readonly priority: number
  readonly interfaceName: string
  /** A command whose success adds 10 to the priority. */
  readonly check?: string
}

/** Writes the configuration; not started yet. It keeps the test's rights: it adds and removes addresses. */
export async function keepalivedOn(host: Host, options: KeepalivedOptions): Promise<Server> {
  const file = host.path('keepalived.conf')
  await writeFile(file, keepalivedText(options), { mode: 0o644 })
  const pids = [`--pid=${host.path('run/keepalived.pid')}`, `--vrrp_pid=${host.path('run/vrrp.pid')}`]
  const command = ['keepalived', '--dont-fork', '--log-console', '--vrrp', ...pids, `--use-file=${file}`]
  return host.server({ name: 'keepalived', command, privileged: true })
}

function keepalivedText(options: KeepalivedOptions): string {
  const script = [
    'vrrp_script check {',
    `    script "${options.check}"`,
    '    interval 1',
    '    weight 10',
    '}',
  ]
  return [
    ...['global_defs {', '    router_id PGHERD_TEST', '    script_user root', '}'],
    ...(options.check === undefined ? [] : script),
    'vrrp_instance VI_1 {',
    '    state BACKUP',
    `    interface ${options.interfaceName}`,
    `    virtual_router_id ${options.routerId}`,
    `    priority ${options.priority}`,
    '    advert_int 1',
    ...(options.check === undefined ? [] : ['    track_script {', '        check', '    }']),
    '    virtual_ipaddress {',
    `        ${options.address}`,
    '    }',
    '}',
    '',
  ].join('\n')
}
