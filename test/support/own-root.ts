// Hosts with the paths of an old deployment (/pgsql/data, /usr/pgsql-12/bin, a locale).

import { chown, mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Host } from '../../src/demo/host.ts'
import { serverBinDir } from '../../src/demo/member.ts'
import { withRoot } from './host-root.ts'
import type { Workplace } from './workplace.ts'

const SCRIPT = path.join(import.meta.dirname, 'own-root.sh')

/** The same host, whose programs now see `/pgsql` (a directory of the host), `/usr/pgsql-12/bin` and this locale. */
export async function withOwnRoot(host: Host, work: Workplace, locale: string): Promise<Host> {
  const pgsql = host.path('pgsql')
  await mkdir(pgsql)
  await chown(pgsql, host.account.uid, host.account.gid)
  return withRoot(host, work, SCRIPT, [pgsql, await serverBinDir(), locale])
}
