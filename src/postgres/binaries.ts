// Where PostgreSQL's programs lie. A missing program is told by name before anything is touched.

import { constants } from 'node:fs'
import { access, readdir, realpath } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { runChild } from '../platform/child.ts'
import type { Deadline } from '../platform/deadline.ts'
import { UserError } from '../platform/errors.ts'
import { toolEnvironment } from './environment.ts'

export type Tool = 'postgres' | 'initdb' | 'pg_controldata' | 'pg_basebackup' | 'pg_rewind' | 'pg_waldump'

/** Without these nothing works; the other tools are looked for when they are needed. */
const REQUIRED: readonly Tool[] = ['postgres', 'initdb', 'pg_controldata', 'pg_basebackup']
const VERSIONED = [
  { parent: '/usr/lib/postgresql', directory: /^(\d+)$/ },
  { parent: '/usr', directory: /^pgsql-(\d+)$/ },
] as const

export interface BinaryOptions {
  /** `postgresql.bin_dir`; undefined searches. */
  readonly binDir: string | undefined
  /** `postgresql.bin_name`: other names for the tools, or paths. */
  readonly names: Readonly<Record<string, string>>
  /** Major version of the data directory, to choose among several installed ones. */
  readonly preferMajor: number | undefined
  readonly env?: NodeJS.ProcessEnv
}

/** The programs of one PostgreSQL installation. */
export class Binaries {
  readonly directory: string
  /** 15, as `postgres --version` says. */
  readonly majorVersion: number
  readonly #names: Readonly<Record<string, string>>

  constructor(directory: string, majorVersion: number, names: Readonly<Record<string, string>>) {
    this.directory = directory
    this.majorVersion = majorVersion
    this.#names = names
  }

  path(tool: Tool): string {
    return resolve(this.directory, this.#names[tool] ?? tool)
  }

  async has(tool: Tool): Promise<boolean> {
    return isExecutable(this.path(tool))
  }
}

/** Finds the installation. UserError when a program is missing or does not run. */
export async function findBinaries(options: BinaryOptions, by: Deadline): Promise<Binaries> {
  const directory = options.binDir ?? (await searchDirectory(options))
  if (directory === undefined) {
    throw new UserError(
      'no PostgreSQL found: "postgres" is neither in PATH nor in /usr/lib/postgresql/<version>/bin; ' +
        'install the server package (Debian: apt-get install postgresql-15) or set postgresql.bin_dir',
    )
  }
  for (const tool of REQUIRED) {
    const path = resolve(directory, options.names[tool] ?? tool)
    if (!(await isExecutable(path))) {
      throw new UserError(
        `PostgreSQL's program ${path} is missing or may not be executed: install the server package or correct postgresql.bin_dir`,
      )
    }
  }
  const postgres = resolve(directory, options.names['postgres'] ?? 'postgres')
  return new Binaries(directory, await majorVersionOf(postgres, by), options.names)
}

async function searchDirectory(options: BinaryOptions): Promise<string | undefined> {
  const installed = await installedMajors()
  const preferred = installed.find(({ major }) => major === options.preferMajor)
  if (preferred !== undefined) return preferred.directory
  const path = (options.env ?? process.env)['PATH'] ?? ''
  for (const directory of path.split(delimiter).filter(part => part !== '')) {
    const program = join(directory, options.names['postgres'] ?? 'postgres')
    // A link leads to the directory in which the other tools lie.
    if (await isExecutable(program)) return dirname(await realpath(program))
  }
  return installed[0]?.directory
}

async function installedMajors(): Promise<readonly { readonly major: number; readonly directory: string }[]> {
  const found = await Promise.all(
    VERSIONED.map(async ({ parent, directory }) => {
      const names = await readdir(parent).catch((): string[] => [])
      return names.flatMap(name => {
        const major = Number(directory.exec(name)?.[1])
        return Number.isNaN(major) ? [] : [{ major, directory: join(parent, name, 'bin') }]
      })
    }),
  )
  return found.flat().sort((one, other) => other.major - one.major)
}

async function majorVersionOf(postgres: string, by: Deadline): Promise<number> {
  const { stdout, stderr } = await runChild(postgres, ['--version'], { by, env: toolEnvironment(), cwd: '/' })
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1])
  if (!Number.isNaN(major)) return major
  throw new UserError(`${postgres} --version does not answer like PostgreSQL: ${(stderr || stdout).trim()}`)
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
