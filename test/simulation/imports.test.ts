// What a world is made of: the real agent and the real routing, and nothing that would leave the seed's hands.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

function importsOf(file: string): readonly string[] {
  const text = readFileSync(path.join(root, file), 'utf8')
  // Types vanish: only values bring code with them.
  const statements = text.matchAll(/^(?:import|export)\s+(?!type\b)[^'"`;]*?\bfrom\s*'(\.[^']+)'/gm)
  return [...statements].map(match => path.posix.join(path.posix.dirname(file), match[1] ?? ''))
}

function reachable(from: string): ReadonlySet<string> {
  const seen = new Set<string>()
  const left = [from]
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    left.push(...importsOf(file))
  }
  return seen
}

const world = reachable('test/simulation/world.ts')
const inWorld = [...world].filter(file => file.startsWith('src/'))

test('the agent of a world is the real one: loop, executor, lease keeper, fence, race, tasks, upkeep, demotion', () => {
  const pieces = [
    ...[
      'agent',
      'loop',
      'act',
      'decide',
      'observe',
      'lease-keeper',
      'fence',
      'race',
      'tasks',
      'work',
      'upkeep',
    ],
    ...['demote', 'rules/lead', 'rules/race', 'rules/recover', 'rules/follow', 'rules/sync', 'rules/gate'],
    ...['rules/divergence', 'rules/requests', 'rules/heirs', 'rules/pause', 'failsafe'],
    ...['sync/quorum', 'sync/priority', 'sync/promotion', 'slots', 'state'],
  ]
  const files = [...pieces.map(name => `src/agent/${name}.ts`), 'src/postgres/fork-point.ts']
  const missing = files.filter(file => !world.has(file))
  assert.deepEqual(missing, [])
})

test('the proxy of a world is the real one: routing, leadership, gate, session table, hold queue, sources, probers', () => {
  const names = [
    'route',
    'router',
    'leadership',
    'backend',
    'pool',
    'hold',
    'etcd-source',
    'session-state',
    'roster',
  ]
  const files = [
    ...names.map(name => `src/proxy/${name}.ts`),
    'src/health/prober.ts',
    'src/health/verdict.ts',
  ]
  assert.deepEqual(
    files.filter(file => !world.has(file)),
    [],
  )
})

test('no file of the simulation stands in for a file of the agent or of the routing', () => {
  const borrowed = new Set(['src/agent/agent.ts'])
  const direct = [...world]
    .filter(file => file.startsWith('test/'))
    .flatMap(file => importsOf(file).filter(target => target.startsWith('src/agent/')))
  assert.deepEqual(
    [...new Set(direct)].filter(file => !borrowed.has(file)),
    [],
  )
})

test('replaced are the store, the PostgreSQL port and the way to it, and nothing else of etcd or of a server is there', () => {
  const pure = ['src/postgres/fork-point.ts']
  const real = inWorld.filter(
    file => /^src\/(dcs\/(etcd|memory)|postgres\/|commands\/|demo\/)/.test(file) && !pure.includes(file),
  )
  assert.deepEqual(real, [])
})

test('nothing in a world reads a clock, rolls dice or waits by itself', () => {
  const forbidden =
    /\b(Date\.now|performance\.now|Math\.random|setTimeout|setInterval|randomUUID|AbortSignal\.timeout)\(/
  // The one real clock is built there, and used by nobody in a world; the log's time stamps are of that clock.
  const allowed = new Set(['src/platform/clock.ts', 'src/platform/child.ts'])
  const wrong = [...world].filter(
    file => !allowed.has(file) && forbidden.test(readFileSync(path.join(root, file), 'utf8')),
  )
  assert.deepEqual(wrong, [])
  const clocks = [...world].filter(file => /\brealClock\b/.test(readFileSync(path.join(root, file), 'utf8')))
  assert.deepEqual(clocks, ['src/platform/clock.ts'])
})

test('every file of the simulation begins with what it owns', () => {
  const files = readdirSync(path.join(root, 'test/simulation'), { recursive: true, encoding: 'utf8' })
  const wrong = files
    .filter(file => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .filter(file => !readFileSync(path.join(root, 'test/simulation', file), 'utf8').startsWith('// '))
  assert.deepEqual(wrong, [])
})
