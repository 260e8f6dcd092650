// docker/compose.yaml as an engine would read it: variables filled in, services with their command words.

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { parse } from 'yaml'

export const DOCKER = path.resolve(import.meta.dirname, '../../../docker')

/** One service, as far as we use it. */
export interface Service {
  readonly build: { readonly context: string; readonly dockerfile: string; readonly target: string }
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly healthcheck: { readonly test: readonly string[] }
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

/** Reads the file with these variables; throws, as an engine does, for one that must be set and is not. */
export async function readCompose(variables: Readonly<Record<string, string>>): Promise<Compose> {
  const text = await readFile(path.join(DOCKER, 'compose.yaml'), 'utf8')
  return parse(fillIn(text, variables), { merge: true }) as Compose
}

/** One stage of the Dockerfile. */
export interface Stage {
  readonly name: string
  readonly lines: readonly string[]
}

/** The Dockerfile's stages, continued lines joined and comments left out. */
export async function readStages(): Promise<readonly Stage[]> {
  const text = await readFile(path.join(DOCKER, 'Dockerfile'), 'utf8')
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
  const stages: { name: string; lines: string[] }[] = []
  for (const line of lines.filter(each => each.trim() !== '')) {
    const name = /^FROM \S+ AS (\S+)$/.exec(line)?.[1]
    if (name !== undefined) stages.push({ name, lines: [] })
    else stages.at(-1)?.lines.push(line)
  }
  return stages
}

/** The JSON list behind a Dockerfile's word (ENTRYPOINT, CMD), the last one of the stage. */
export function wordsOf(stage: Stage, instruction: string): readonly string[] {
  const line = stage.lines.findLast(each => each.startsWith(`${instruction} [`))
  return line === undefined ? [] : (JSON.parse(line.slice(instruction.length + 1)) as readonly string[])
}

function fillIn(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+):\?([^}]*)\}/g, (_all, name: string, complaint: string) => {
    const value = variables[name]
    if (value === undefined || value === '') throw new Error(`${name}: ${complaint}`)
    return value
  })
}
