// Configuration files without a server: written by us, read by PostgreSQL's own program.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after } from 'node:test'
import type { RoleSettings } from '../../src/config/agent/types.ts'
import { runChild } from '../../src/platform/child.ts'
import { findBinaries } from '../../src/postgres/binaries.ts'
import { ConfigFiles } from '../../src/postgres/config-files.ts'
import { DataDirectory } from '../../src/postgres/data-directory.ts'
import { Rig, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
export const root = rig.directory
const postgres = (
  await findBinaries({ binDir: undefined, names: {}, preferMajor: undefined }, within(10_000))
).path('postgres')

export const settings = (mark: string): RoleSettings => ({
  parameters: { work_mem: mark === 'old' ? '5MB' : '6MB' },
  recovery: {},
  pgHba: [`local all all trust # ${mark}`],
  pgIdent: [`map ${mark} postgres`],
})

/** What PostgreSQL itself makes of the files; undefined when it cannot read them. */
export async function workMem(directory: string): Promise<string | undefined> {
  const config = `--config_file=${directory}/postgresql.conf`
  const { code, stdout } = await runChild(postgres, ['-D', directory, config, '-C', 'work_mem'], {
    by: within(10_000),
  })
  return code === 0 ? stdout.trim() : undefined
}

export async function write(directory: string, mark: string): Promise<void> {
  const data = new DataDirectory(directory)
  const files = new ConfigFiles({ data, configDir: directory, baseName: 'postgresql', customConf: undefined })
  await files.write(settings(mark), { role: 'primary' }, 15, within(20_000))
}

/** A directory as initdb leaves it, as far as files matter. */
export async function fresh(name: string): Promise<string> {
  const directory = join(root, name)
  await mkdir(directory, { mode: 0o700 })
  await writeFile(join(directory, 'postgresql.conf'), "work_mem = '3MB'\nshared_buffers = '16MB'\n")
  await writeFile(join(directory, 'pg_hba.conf'), '# of initdb\n')
  return directory
}
