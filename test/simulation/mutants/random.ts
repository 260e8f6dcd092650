// Small accidents anywhere in the sources that decide: a comparison turned round, an await or a negation dropped, a re-read
// left out. Chosen by a seed.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Random } from '../core/random.ts'
import { type Change, lineOf } from './change.ts'
import type { Mutant } from './named.ts'

/** Where accidents happen: what decides and what acts. */
const FILES: readonly string[] = [
  ...['act', 'agent', 'bootstrap', 'decide', 'decision', 'demote', 'demote-cluster', 'drain', 'failsafe'],
  ...[
    'failsafe-key',
    'fence',
    'hand-over',
    'lease-deadline',
    'lease-keeper',
    'lease-keeper-parts',
    'lease-timings',
  ],
  ...['leave-sync', 'loop', 'observe', 'operator', 'race', 'restart', 'slots', 'state', 'stop-quickly'],
  ...['storage', 'synchronous', 'tasks', 'upkeep', 'watchdog', 'watchdog-plan', 'work'],
  ...['rules/data-directory', 'rules/divergence', 'rules/follow', 'rules/gate', 'rules/give-way'],
  ...['rules/guards', 'rules/heirs', 'rules/lead', 'rules/pause', 'rules/race', 'rules/recover'],
  ...['rules/register', 'rules/requests', 'rules/say', 'rules/seal', 'rules/source', 'rules/standby'],
  ...['rules/starved', 'rules/storage', 'rules/sync', 'rules/watchdog'],
  ...['sync/candidates', 'sync/names', 'sync/priority', 'sync/promotion', 'sync/quorum', 'sync/scene'],
].map(name => `src/agent/${name}.ts`)

/** Files of the agent in which no accident is looked for, and why. */
export const WITHOUT_ACCIDENTS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    callbacks: 'tells scripts, which no world has',
    'member-key': 'prints what others read',
    metrics: 'counts',
    'own-scripts': 'waits for scripts, which no world has',
    parts: 'types alone',
    reload: "compares a node's file, which is never changed in a world",
    'server-settings': 'settings, which a modelled server does not have',
    'slot-copies': 'logical slots, which no world has',
    snapshot: 'types, and a memory that is empty',
    'sync/step': 'types alone',
    'until-promoted': 'no promotion of a world takes a minute',
  }).map(([name, why]) => [`src/agent/${name}.ts`, why]),
)

const PROXY_FILES: readonly string[] = ['route', 'router', 'leadership', 'backend', 'etcd-source'].map(
  name => `src/proxy/${name}.ts`,
)

/** What is replaced by what. Spaces keep arrows, generics and `for await` out. */
const OPERATORS: readonly (readonly [from: string, to: string])[] = [
  [' < ', ' >= '],
  [' <= ', ' > '],
  [' > ', ' <= '],
  [' >= ', ' < '],
  [' === ', ' !== '],
  [' !== ', ' === '],
  [' && ', ' || '],
  [' || ', ' && '],
  ['await ', ''],
  ['(!', '('],
  ['await this.#observer.readView()', 'undefined'],
  ['[this.#observer.readView(), ', '['],
]

/** The files that are looked through. */
export function accidentFiles(): readonly string[] {
  return [...FILES, ...PROXY_FILES]
}

/** The texts that are replaced somewhere. */
export function operators(): readonly string[] {
  return OPERATORS.map(([from]) => from)
}

/** Every place at which one of the operators could be changed. */
export function allAccidents(): readonly Mutant[] {
  return accidentFiles().flatMap(file => accidentsIn(file, sourceOf(file)))
}

/** `count` of them, the same for the same seed. */
export function randomMutants(seed: number, count: number): readonly Mutant[] {
  return new Random(`mutants ${seed}`).shuffled(allAccidents()).slice(0, count)
}

function sourceOf(file: string): string {
  return readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8')
}

function accidentsIn(file: string, text: string): readonly Mutant[] {
  return OPERATORS.flatMap(([from, to]) => {
    const found: Mutant[] = []
    for (let at = text.indexOf(from); at >= 0; at = text.indexOf(from, at + 1)) {
      const change: Change = { file, at, from, to }
      if (isCode(text, at)) found.push(named(text, change))
    }
    return found
  })
}

/** Not in a comment, not in a type, not in words for people. */
function isCode(text: string, at: number): boolean {
  const line = text.slice(text.lastIndexOf('\n', at) + 1, text.indexOf('\n', at))
  if (/^\s*(\/\/|\*|\/\*\*|import|export type|type )/.test(line) || /for await/.test(line)) return false
  return !/\blog\.|\blog\(|says|events\.record|metrics\.|#tell|Sentence/.test(line)
}

/** Who keeps the sync key has work only where there is one. */
function modesOf(file: string): Mutant['modes'] {
  if (file.endsWith('sync/priority.ts')) return ['sync', 'strict']
  if (file.endsWith('sync/quorum.ts')) return ['quorum']
  return /\/sync|\/leave-sync|\/seal/.test(file) ? ['sync', 'strict', 'quorum'] : undefined
}

function named(text: string, change: Change): Mutant {
  const { file, from, to } = change
  const name = `${file}:${lineOf(text, change)}`
  return {
    name,
    bug: `${JSON.stringify(from.trim())} becomes ${JSON.stringify(to.trim())}`,
    modes: modesOf(file),
    changes: [change],
  }
}
