// Runs an agent that is expected to refuse, and tells what it said and what it left untouched.

import { lstat, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import { runChild } from '../../src/platform/child.ts'
import { realClock } from '../../src/platform/clock.ts'
import { Deadline } from '../../src/platform/deadline.ts'

const ENDS_WITHIN_MS = 60_000

/** How a refusing agent ended. */
export interface Refusal {
  readonly code: number | undefined
  readonly lines: readonly string[]
}

/** Starts the member's agent and waits until it has ended by itself; rejects when it goes on. */
export async function runToItsEnd(member: Member): Promise<Refusal> {
  const seen = (await readLog(member)).length
  await member.agent.start()
  const timer = new AbortController()
  const tooLong = realClock.sleep(ENDS_WITHIN_MS, timer.signal).then(() => {
    throw new Error(`${member.name} still runs after ${ENDS_WITHIN_MS} ms`)
  })
  try {
    const { code } = await Promise.race([member.agent.exit, tooLong])
    return { code, lines: (await readLog(member)).slice(seen) }
  } finally {
    timer.abort()
    await tooLong.catch(() => {})
  }
}

/** Runs the agent with this file as uid 0, by right or in a user namespace of its own. */
export async function runAsRoot(program: readonly string[], file: string): Promise<Refusal> {
  const become = process.getuid?.() === 0 ? [] : ['unshare', '--user', '--map-root-user']
  const [first = '', ...words] = [...become, ...program, 'agent', file]
  const by = Deadline.in(realClock, ENDS_WITHIN_MS)
  const { code, stderr } = await runChild(first, words, { by })
  return { code, lines: splitLines(stderr) }
}

/** The lines that a member's agent has written so far. */
export async function readLog(member: Member): Promise<readonly string[]> {
  return splitLines(await readFile(member.agent.logFile, 'utf8').catch(() => ''))
}

/**
 * What remains without dated lines of INFO and WARNING: a slow etcd, for example, is told between the others. Errors, and
 * whatever has no date, a stack trace for example, stay.
 */
export function withoutProgress(lines: readonly string[]): readonly string[] {
  return lines.filter(line => !/^\d{4}-\d\d-\d\d \S+ (?:INFO|WARNING): /.test(line))
}

/** Lines without what differs from run to run: time stamps, directories, addresses, ids. */
export function readable(lines: readonly string[], cluster: Cluster, member: Member): string {
  const names: readonly (readonly [string | RegExp, string])[] = [
    [/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} /gm, ''],
    [member.host.directory, `/hosts/${member.name}`],
    ...cluster.etcd.members.map(({ endpoint, name }) => [endpoint, `${name}:2379`] as const),
    ...[...cluster.members, member].flatMap(({ host, name }) => [[host.address, `<${name}>`] as const]),
    [/\b\d{18,20}\b/g, '<system id>'],
    [/\(pid \d+\)/g, '(pid <pid>)'],
  ]
  let text = lines.map(line => `${line}\n`).join('')
  for (const [what, instead] of names) text = text.replaceAll(what, instead)
  return text
}

/** Every file below a directory with owner, mode, size and the kernel's time of change; equal means untouched. */
export async function fingerprint(directory: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(directory, { recursive: true }).catch(() => [] as string[])
  const told = await Promise.all(
    ['.', ...entries].sort().map(async name => [name, await describe(path.join(directory, name))] as const),
  )
  return Object.fromEntries(told)
}

async function describe(file: string): Promise<string> {
  const found = await lstat(file).catch(() => undefined)
  // Nobody but the kernel sets ctime: a file that was written, moved or given away cannot hide it.
  return found === undefined
    ? 'absent'
    : `${found.uid} ${found.mode.toString(8)} ${found.size} ${found.ctimeMs}`
}

function splitLines(text: string): readonly string[] {
  return text.split('\n').filter(line => line !== '')
}
