// Waiting until members act by what was changed: our agents say by which revision they work and which reload they carried
// out; the real Patroni is known by what it answers from its last turn.

import { asBigint, asInteger, asText, isObject, type JsonObject, parseJsonObject } from '../cluster/json.ts'
import type { Member } from '../cluster/member.ts'
import type { ClusterView } from '../cluster/view.ts'
import { readSeconds } from '../config/agent/units.ts'
import { type CtlContext, readCluster } from './context.ts'
import { callMember } from './member-call.ts'
import { waitWithProgress } from './progress.ts'
import { printYaml } from './yaml-text.ts'

const ASK_MS = 5_000
const SPARE_MS = 10_000

/** Two turns: the one that runs may have begun before the change. */
function patienceMs(view: ClusterView): number {
  return 2000 * (readSeconds(view.config?.value['loop_wait']) ?? 10) + SPARE_MS
}

/** Waits until every member works by the configuration as it is in etcd now, and says who does not. */
export async function waitForConfig(context: CtlContext, scope: string): Promise<void> {
  const written = await readCluster(context, scope)
  const members = [...written.members.values()].filter(({ apiUrl }) => apiUrl !== undefined)
  let missing: readonly string[] = []
  const isDone = await waitWithProgress(context, patienceMs(written), async () => {
    const { config } = await readCluster(context, scope)
    if (config === undefined) return 'the configuration is gone'
    const uses = await Promise.all(members.map(member => worksBy(context, member, config)))
    missing = members.filter((_member, index) => uses[index] !== true).map(({ name }) => name)
    return missing.length === 0 ? undefined : `waiting for ${missing.join(', ')}`
  })
  tell(
    context,
    isDone,
    'Every member works by this configuration',
    'has not taken the configuration yet',
    missing,
  )
}

/** Does this member work by this configuration, or by a newer one? */
async function worksBy(
  context: CtlContext,
  member: Member,
  config: NonNullable<ClusterView['config']>,
): Promise<boolean> {
  const own = ownWords(await ask(context, member, 'patroni'))
  if (own !== undefined) {
    const revision = asBigint(own['config_revision'])
    return revision !== undefined && revision >= config.modRevision
  }
  const used = await ask(context, member, 'config')
  return used !== undefined && printYaml(used) === printYaml(config.value)
}

/** Waits until these members have carried out the reload that they were just asked for, and says how it ended. */
export async function waitForReloads(
  context: CtlContext,
  view: ClusterView,
  members: readonly Member[],
): Promise<void> {
  const watches = new Map(members.map(member => [member, reloadWatch(context, member)]))
  await waitWithProgress(context, patienceMs(view), async print => {
    for (const [member, hasReloaded] of [...watches]) {
      const outcome = await hasReloaded()
      if (outcome === undefined) continue
      watches.delete(member)
      if (outcome === 'done') print(`Reload is completed on: ${member.name}\n`)
      else {
        print(`Failed: reload on member ${member.name}: ${outcome.error}\n`)
        context.noteRefusal()
      }
    }
    const names = [...watches.keys()].map(({ name }) => name)
    return names.length === 0 ? undefined : `waiting for ${names.join(', ')}`
  })
  const missing = [...watches.keys()].map(({ name }) => name)
  if (missing.length > 0) tell(context, false, '', 'has not told the end of its reload', missing)
}

type ReloadOutcome = 'done' | { readonly error: string } | undefined

/** A look at one member, to be called again and again. Its first answer comes after the order, so its numbers include it. */
function reloadWatch(context: CtlContext, member: Member): () => Promise<ReloadOutcome> {
  let asked: number | undefined
  const turns = new Set<number>()
  return async () => {
    const document = await ask(context, member, 'patroni')
    const own = ownWords(document)
    if (own !== undefined) {
      asked ??= asInteger(own['reloads_asked'])
      const isAnswered = asked !== undefined && (asInteger(own['reloads_answered']) ?? 0) >= asked
      const error = asText(own['reload_error'])
      return isAnswered ? (error === undefined ? 'done' : { error }) : undefined
    }
    // Patroni reads the file before a turn; it has when two more turns than were seen first have ended.
    const turn = asInteger(document?.['dcs_last_seen'])
    if (turn !== undefined) turns.add(turn)
    return turns.size > 2 ? 'done' : undefined
  }
}

async function ask(context: CtlContext, member: Member, endpoint: string): Promise<JsonObject | undefined> {
  const { code, text } = await callMember(context, member, 'GET', endpoint, undefined, ASK_MS)
  return code === 200 ? parseJsonObject(text) : undefined
}

function ownWords(document: JsonObject | undefined): JsonObject | undefined {
  const own = document?.['pgherd']
  return isObject(own) ? own : undefined
}

function tell(
  context: CtlContext,
  isDone: boolean,
  good: string,
  bad: string,
  missing: readonly string[],
): void {
  if (isDone) context.terminal.print(`${good}\n`)
  else {
    context.terminal.print(missing.map(name => `${name} ${bad}\n`).join(''))
    context.noteRefusal()
  }
}
