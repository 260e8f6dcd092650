// A recording script as every callback of a member, whoever runs it: ours or a real Patroni.

import { chmod, chown, readFile, writeFile } from 'node:fs/promises'
import type { Member } from '../../src/demo/member.ts'

const ACTIONS = ['on_start', 'on_stop', 'on_restart', 'on_reload', 'on_role_change']

/** From its next start or reload on the member tells a file of each call. */
export async function recordCalls(member: Member): Promise<void> {
  const { host } = member
  const script = host.path('record.sh')
  await writeFile(script, `#!/bin/sh\necho "$@" >> ${host.path('called')}\n`)
  await chmod(script, 0o755)
  await writeFile(host.path('called'), '')
  await chown(host.path('called'), host.account.uid, host.account.gid)
  const callbacks = Object.fromEntries(ACTIONS.map(action => [action, script]))
  await member.configure({ postgresql: { callbacks } })
}

/** What was called since `recordCalls`, one line of arguments each. */
export async function recordedCalls(member: Member): Promise<readonly string[]> {
  const text = await readFile(member.host.path('called'), 'utf8')
  return text.split('\n').filter(line => line !== '')
}

/** The same without `on_reload`: it says nothing of roles. */
export async function roleCalls(member: Member): Promise<readonly string[]> {
  return (await recordedCalls(member)).filter(call => !call.startsWith('on_reload'))
}
