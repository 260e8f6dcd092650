// `edit-config`: shows what would change, asks, and writes only if nobody else changed it meanwhile.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Json, type JsonObject, printJson } from '../cluster/json.ts'
import { patchConfig } from '../cluster/patch.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { waitForConfig } from './applied.ts'
import { applySettings } from './config-change.ts'
import { type CtlContext, readCluster, scopeOf, writeKey } from './context.ts'
import { unifiedDiff } from './diff.ts'
import { readYamlMapping } from './yaml-read.ts'
import { printYaml } from './yaml-text.ts'

export interface EditOptions {
  readonly quiet: boolean
  readonly settings: readonly string[]
  readonly parameters: readonly string[]
  readonly apply: string | undefined
  readonly replace: string | undefined
  readonly force: boolean
  /** Go on until every member works by what was written. */
  readonly wait: boolean
}

/** Runs programs that take the screen over: the editor and the pager. */
export interface Programs {
  /** Resolves with the exit code; `input` goes to its standard input. UserError when there is no such program. */
  readonly run: (command: string, args: readonly string[], input?: string) => Promise<number>
  readonly editor: () => Promise<string>
  readonly pager: () => Promise<string>
}

const INPUT_BYTES_MAX = 1024 * 1024

/** Changes the cluster's own configuration. */
export async function editConfig(
  context: CtlContext,
  programs: Programs,
  name: string | undefined,
  options: EditOptions,
): Promise<void> {
  const scope = scopeOf(context, name)
  const { terminal } = context
  const { config } = await readCluster(context, scope)
  if (config === undefined) throw new UserError(`The cluster ${scope} has no configuration in etcd`)
  const before = printYaml(config.value)
  const changed = await change(context, programs, scope, config.value, options)
  if (isSame(config.value, changed)) {
    if (!options.quiet) terminal.print('Not changed\n')
    return
  }
  if (!options.quiet) await showDiff(context, programs, unifiedDiff(before, printYaml(changed)))
  if ((options.apply === '-' || options.replace === '-') && !options.force) {
    terminal.print('Use --force option to apply changes\n')
    return
  }
  if (!options.force && !(await terminal.confirm('Apply these changes?'))) return
  const outcome = await writeKey(context, scope, 'config', printJson(changed), config.modRevision)
  if (outcome === 'lost') throw new UserError('Config modification aborted due to concurrent changes')
  terminal.print('Configuration changed\n')
  if (options.wait) await waitForConfig(context, scope)
}

/** A file in place comes first, then a file laid over, then single settings; without any of them, the editor. */
async function change(
  context: CtlContext,
  programs: Programs,
  scope: string,
  config: JsonObject,
  options: EditOptions,
): Promise<JsonObject> {
  const { settings, parameters, apply, replace } = options
  const all = [...settings, ...parameters.map(pair => `postgresql.parameters.${pair.trimStart()}`)]
  if (apply === undefined && replace === undefined && all.length === 0) {
    return edit(programs, scope, printYaml(config))
  }
  let changed = config
  if (replace !== undefined) changed = patchConfig({}, await readGiven(context, replace))
  if (apply !== undefined) changed = patchConfig(changed, await readGiven(context, apply))
  return applySettings(changed, all)
}

async function readGiven({ terminal }: CtlContext, file: string): Promise<JsonObject> {
  if (file === '-') return readYamlMapping(await terminal.readAll(INPUT_BYTES_MAX), 'standard input')
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`Can not read ${file}: ${messageOf(error)}`)
  })
  return readYamlMapping(text, file)
}

async function edit(programs: Programs, scope: string, before: string): Promise<JsonObject> {
  const editor = await programs.editor()
  const folder = await mkdtemp(join(tmpdir(), 'pgherd-'))
  const file = join(folder, `${scope.replace(/[^A-Za-z0-9_.-]/g, '_')}-config.yaml`)
  try {
    await writeFile(file, before, { mode: 0o600 })
    const code = await programs.run(editor, [file])
    if (code !== 0) throw new UserError(`Editor exited with return code ${code}`)
    return readYamlMapping(await readFile(file, 'utf8'), file)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function showDiff(
  { terminal }: CtlContext,
  programs: Programs,
  lines: readonly string[],
): Promise<void> {
  const text = lines.map(line => `${line}\n`).join('')
  if (!terminal.hasColours) {
    terminal.print(text)
    return
  }
  const coloured = lines.map(line => `${colourOf(line)}${line}\u001b[0m\n`).join('')
  const code = await programs.run(await programs.pager(), [], coloured).catch(() => 1)
  if (code !== 0) terminal.print(coloured)
}

function colourOf(line: string): string {
  if (line.startsWith('+')) return '\u001b[32m'
  if (line.startsWith('-')) return '\u001b[31m'
  return line.startsWith('@@') ? '\u001b[36m' : ''
}

/** The order of keys means nothing. */
function isSame(one: Json, other: Json): boolean {
  return printYaml(one) === printYaml(other)
}
