// `version`: ours, and what the members run.

import { COMPATIBILITY_VERSION } from '../cluster/compatibility.ts'
import { asInteger, asText, isObject, parseJsonObject } from '../cluster/json.ts'
import { versionText } from '../cluster/restart.ts'
import { membersOf } from './choose.ts'
import { type CtlContext, readCluster } from './context.ts'
import { callMember } from './member-call.ts'

const ASK_MS = 5_000

/** Begins as scripts know it; ours stands behind. */
export function versionLine(own: string): string {
  return `patronictl version ${COMPATIBILITY_VERSION} (pgherdctl ${own})\n`
}

/** Our own line, an empty one, and one for each member. */
export async function version(
  context: CtlContext,
  own: string,
  scope: string,
  names: readonly string[],
): Promise<void> {
  const { terminal } = context
  terminal.print(`${versionLine(own)}\n`)
  const view = await readCluster(context, scope)
  for (const member of membersOf(view, 'any')) {
    if (member.apiUrl === undefined || (names.length > 0 && !names.includes(member.name))) continue
    const { code, text } = await callMember(context, member, 'GET', 'patroni', undefined, ASK_MS)
    const document = parseJsonObject(text)
    if (document === undefined) {
      terminal.print(`${member.name}: failed to get version: ${code === 0 ? text : `status code ${code}`}\n`)
      continue
    }
    const patroni = document['patroni']
    const level = isObject(patroni) ? asText(patroni['version']) : undefined
    const server = asInteger(document['server_version'])
    const ofServer = server === undefined ? '' : ` PostgreSQL ${versionText(server)}`
    terminal.print(`${member.name}: Patroni ${level ?? 'unknown'}${ofServer}\n`)
  }
}
