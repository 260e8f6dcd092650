// Where the server's files are, what they include and who may read them.

import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { RoleSettings } from '../../src/config/agent/types.ts'
import { ConfigFiles } from '../../src/postgres/config-files.ts'
import { DataDirectory } from '../../src/postgres/data-directory.ts'
import { fresh, root, settings, workMem, write } from './postgres-files-rig.ts'
import { within } from './postgres-rig.ts'

test('file modes follow the data directory', async () => {
  const directory = await fresh('group')
  for (const [mode, fileMode] of [
    [0o700, 0o600],
    [0o750, 0o640],
  ] as const) {
    await chmod(directory, mode)
    await write(directory, mode === 0o700 ? 'old' : 'new')
    for (const name of ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'])
      assert.equal((await stat(join(directory, name))).mode & 0o777, fileMode, name)
  }
})

test('a custom_conf stands in place of the base file, and the file that was there stays as it is', async () => {
  const directory = await fresh('custom')
  await writeFile(join(directory, 'site.conf'), "work_mem = '7MB'\nmaintenance_work_mem = '99MB'\n")
  const data = new DataDirectory(directory)
  const files = new ConfigFiles({
    data,
    configDir: directory,
    baseName: 'postgresql',
    customConf: 'site.conf',
  })
  await files.write(settings('new'), { role: 'primary' }, 15, within(20_000))
  assert.equal(await workMem(directory), '6144')
  const main = await readFile(join(directory, 'postgresql.conf'), 'utf8')
  assert.match(main, /^include 'site\.conf'$/m)
  assert.ok(!(await readdir(directory)).includes('postgresql.base.conf'))
})

test('a config_dir on a new host is completed from the copies in a clone, and what is there already stays', async () => {
  const data = new DataDirectory(await fresh('data'))
  const on = (name: string) =>
    new ConfigFiles({ data, configDir: join(root, name), baseName: 'postgresql', customConf: undefined })
  const silent: RoleSettings = { ...settings('old'), pgHba: undefined, pgIdent: undefined }
  await on('etc1').write(silent, { role: 'primary' }, 15, within(20_000))
  assert.equal(await readFile(join(root, 'etc1/pg_hba.conf'), 'utf8'), '# of initdb\n')
  await writeFile(join(root, 'etc1/pg_hba.conf'), '# by hand\n')
  await writeFile(join(root, 'etc1/postgresql.base.conf'), "maintenance_work_mem = '98MB'\n")
  await on('etc1').keepCopies(within(20_000))
  await on('etc2').write(silent, { role: 'primary' }, 15, within(20_000))
  assert.equal(await readFile(join(root, 'etc2/pg_hba.conf'), 'utf8'), '# by hand\n')
  assert.match(await readFile(join(root, 'etc2/postgresql.base.conf'), 'utf8'), /98MB/)
  await mkdir(join(root, 'etc3'))
  await writeFile(join(root, 'etc3/postgresql.conf'), "maintenance_work_mem = '97MB'\n")
  await on('etc3').write(silent, { role: 'primary' }, 15, within(20_000))
  assert.match(await readFile(join(root, 'etc3/postgresql.base.conf'), 'utf8'), /97MB/)
})
