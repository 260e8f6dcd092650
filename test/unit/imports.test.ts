// Keeps the house in order: which folder may import which, what pure parts may know, and how large a file may be.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const LINES_MAX = 400

const domain = ['cluster']
const parts = ['health', 'postgres', 'dcs', 'config']
const roles = ['agent', 'proxy', 'ctl', 'vip', 'api']

/** Folder of src -> folders that it may import besides itself. A folder that is missing here may not exist. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  cluster: [],
  platform: [],
  ...Object.fromEntries(parts.map(folder => [folder, [...domain, 'platform']])),
  ...Object.fromEntries(roles.map(folder => [folder, [...parts, ...domain, 'platform']])),
  // The status page runs in a browser: types of the domain at most.
  web: domain,
  demo: [...parts, ...domain, 'platform'],
  commands: [...roles, ...parts, ...domain, 'platform', 'web'],
  // main.ts
  '': ['commands'],
}

/** Parts that decide: no clock, socket, file or process of Node may be near them. */
const pure: readonly RegExp[] = [
  /^src\/cluster\//,
  /^src\/agent\/(decide|decision|race|sync|slots)\.ts$/,
  /^src\/agent\/(rules|sync)\//,
  /^src\/proxy\/(route|balance)\.ts$/,
  /^src\/health\/verdict\.ts$/,
  /^src\/vip\/(decide|wish)\.ts$/,
  /^src\/api\/(health-check|status-document|information|metrics|order|candidates)\.ts$/,
  /^src\/config\/agent\/(dynamic|settings|controlled|units|slots|standby|methods)\.ts$/,
]

interface SourceFile {
  /** From the checkout, with slashes. */
  readonly file: string
  readonly text: string
  readonly imports: readonly string[]
}

const sources = filesBelow('src').map(readSource)
const everything = [...sources, ...filesBelow('test').map(readSource), ...filesBelow('bench').map(readSource)]

function filesBelow(folder: string): readonly string[] {
  try {
    const entries = readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    return entries
      .filter(entry => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map(entry => path.relative(root, path.join(entry.parentPath, entry.name)))
  } catch {
    return []
  }
}

function readSource(file: string): SourceFile {
  const text = readFileSync(path.join(root, file), 'utf8')
  return { file: file.split(path.sep).join('/'), text, imports: importsOf(text) }
}

/** Static and dynamic imports, and exports from elsewhere; types count as well. */
function importsOf(text: string): readonly string[] {
  const code = text.replace(/^\s*\/\/.*$/gm, '').replace(/\/\*[\s\S]*?\*\//g, '')
  const statements = code.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|^import\s*'([^']+)'/gm)
  const calls = code.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)
  return [...statements, ...calls].map(match => match[1] ?? match[2] ?? '')
}

/** The folder of src that holds `file`; empty for src itself, undefined outside of src. */
function folderOf(file: string): string | undefined {
  const words = file.split('/')
  if (words[0] !== 'src') return undefined
  return words.length > 2 ? words[1] : ''
}

function targetOf(source: SourceFile, imported: string): string {
  return path.posix.join(path.posix.dirname(source.file), imported)
}

/** The typed configuration is data that the server's part is given; only its types may be named there. */
function isConfigType({ file, text }: SourceFile, target: string): boolean {
  if (target !== 'src/config/agent/types.ts' || folderOf(file) !== 'postgres') return false
  return !/^import (?!type\b)[^'"`;]*?\bfrom\s*'[^']*config\/agent\/types\.ts'/m.test(text)
}

test('the reading of imports sees every form', () => {
  const text = `import a from './a.ts'
import { type B, c } from "../b.ts"
import {
  d,
} from '../d.ts'
import type { E } from './e.ts'
import './f.ts'
export { g } from './g.ts'
// import { no } from './no.ts'
const h = async () => (await import('./h.ts')).h
const text = "from './no-either.ts'"
`
  assert.deepEqual(importsOf(text), ['./a.ts', '../d.ts', './e.ts', './f.ts', './g.ts', './h.ts'])
})

test('there are sources to look at', () => {
  assert.ok(sources.length > 50, `only ${sources.length}`)
  assert.ok(sources.some(source => source.imports.length > 5))
})

test('every folder of src has its place in the order', () => {
  const unknown = sources
    .map(({ file }) => folderOf(file))
    .filter(folder => mayImport[folder ?? ''] === undefined)
  assert.deepEqual([...new Set(unknown)], [])
})

test('imports point one way: commands, roles, parts, domain', () => {
  const wrong = sources.flatMap(source => {
    const folder = folderOf(source.file) ?? ''
    const allowed = mayImport[folder] ?? []
    return source.imports
      .filter(imported => imported.startsWith('.'))
      .map(imported => targetOf(source, imported))
      .filter(target => {
        const reached = folderOf(target)
        const isDemo = source.file === 'src/commands/demo.ts' && reached === 'demo'
        return (
          reached !== folder &&
          !isDemo &&
          !isConfigType(source, target) &&
          !allowed.includes(reached ?? '(outside of src)')
        )
      })
      .map(target => `${source.file} imports ${target}`)
  })
  assert.deepEqual(wrong, [])
})

test('only commands/demo.ts and tests import the demo', () => {
  const importers = everything.filter(source =>
    source.imports.some(
      imported => imported.startsWith('.') && folderOf(targetOf(source, imported)) === 'demo',
    ),
  )
  const wrong = importers
    .map(({ file }) => file)
    .filter(file => !/^(src\/demo\/|src\/commands\/demo\.ts$|test\/|bench\/)/.test(file))
  assert.deepEqual(wrong, [])
})

test('parts that decide know nothing of Node', () => {
  const deciding = sources.filter(({ file }) => pure.some(pattern => pattern.test(file)))
  assert.ok(deciding.length > 10)
  const wrong = deciding.flatMap(({ file, text, imports }) => [
    ...imports
      .filter(imported => imported.startsWith('node:'))
      .map(imported => `${file} imports ${imported}`),
    ...(/\b(Date\.now|performance\.now|Math\.random|setTimeout|process\.)\b/.test(text)
      ? [`${file} reads the world`]
      : []),
  ])
  assert.deepEqual(wrong, [])
})

test('own modules are imported with their extension, Node by its prefix, and never through a barrel', () => {
  const builtins = new Set([
    'fs',
    'path',
    'net',
    'http',
    'os',
    'child_process',
    'crypto',
    'events',
    'stream',
    'util',
  ])
  const wrong = everything.flatMap(({ file, imports }) =>
    imports
      .filter(
        imported =>
          (imported.startsWith('.') && !/\.(ts|tsx|js|json)$/.test(imported)) || builtins.has(imported),
      )
      .map(imported => `${file} imports ${imported}`),
  )
  assert.deepEqual(wrong, [])
  assert.deepEqual(
    sources.filter(({ file }) => /\/index\.tsx?$/.test(file)).map(({ file }) => file),
    [],
  )
})

test('nothing is exported by default', () => {
  const wrong = everything.filter(({ text }) => /^export default\b|^export \{[^}]*\bas default\b/m.test(text))
  assert.deepEqual(
    wrong.map(({ file }) => file),
    [],
  )
})

test(`no file has more than ${LINES_MAX} lines`, () => {
  const wrong = everything
    .map(({ file, text }) => ({ file, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX)
  assert.deepEqual(wrong, [])
})

test('every source file begins with what it owns', () => {
  const wrong = sources.filter(({ text }) => !/^(#!.*\n)?\/\/ \S/.test(text))
  assert.deepEqual(
    wrong.map(({ file }) => file),
    [],
  )
})

test('nothing synchronous waits for a disk or a child, except while the process starts', () => {
  const wrong = sources.flatMap(({ file, text }) => {
    const calls =
      text.match(
        /\b(?:read|write|append|open|stat|lstat|mkdir|readdir|rm|rename|unlink|exists|exec|execFile|spawn|access)\w*Sync\(/g,
      ) ?? []
    const isAllowed = file === 'src/platform/version.ts' || /^src\/(commands|demo)\//.test(file)
    return isAllowed ? [] : calls.map(call => `${file} calls ${call}`)
  })
  assert.deepEqual(wrong, [])
})
