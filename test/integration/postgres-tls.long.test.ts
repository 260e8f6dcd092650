// Our own connections keep to the words about encryption that standbys and tools get from libpq.

import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { Connection } from '../../src/postgres/connection.ts'
import { makeCertificates } from '../support/certificates.ts'
import { type Member, Rig, within } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const at = (name: string) => join(rig.directory, name)
const certificates = await makeCertificates(at('certificates'))
const server = await certificates.issue('server')
const member = await encrypted()

async function encrypted(): Promise<Member> {
  const { config, settings } = await rig.member('pg1')
  const parameters = {
    ...settings.parameters,
    ssl: 'on',
    ssl_cert_file: server.cert,
    ssl_key_file: server.key,
  }
  const pgHba = ['local all all trust', 'host all repl all trust', 'host all all all scram-sha-256']
  return rig.build(config, { ...settings, parameters, pgHba })
}

/** How the server says that this connection is encrypted, or why there is none. */
async function tried(options: Readonly<Record<string, string>>, user = 'superuser'): Promise<string> {
  const { connectAddress: door, superuser, replication } = member.config.postgres
  const who = { ...(user === 'superuser' ? superuser : replication), options }
  const target = { door, who, database: 'postgres', isReplication: false, session: {} }
  try {
    const connection = await Connection.open(target, within(5_000))
    const [row] = await connection.query(
      'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      within(5_000),
    )
    connection.close()
    return row?.['ssl'] === 't' ? 'encrypted' : 'plain'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

test('a server whose certificate was taken back is not trusted, be the list a file or one of a directory', async () => {
  await member.server.bootstrap(AbortSignal.timeout(60_000))
  const asked = { sslmode: 'verify-ca', sslrootcert: certificates.ca }
  assert.equal(await tried(asked), 'encrypted')
  const list = await certificates.revoke(server.cert)
  const directory = at('lists')
  await mkdir(directory)
  assert.equal(await tried({ ...asked, sslcrldir: directory }), 'encrypted', 'nothing is revoked there')
  await copyFile(list, join(directory, '0123abcd.r0'))
  assert.match(await tried({ ...asked, sslcrl: list }), /certificate revoked/)
  assert.match(await tried({ ...asked, sslcrldir: directory }), /certificate revoked/)
})

test('sslmode require asks the authority that is named', async () => {
  const strangers = await makeCertificates(at('strangers'))
  assert.equal(await tried({ sslmode: 'require' }), 'encrypted')
  assert.equal(await tried({ sslmode: 'require', sslrootcert: certificates.ca }), 'encrypted')
  assert.match(await tried({ sslmode: 'require', sslrootcert: strangers.ca }), /unable to verify|self.signed/)
})

test('channel_binding require: encrypted and proven, or not at all', async () => {
  assert.equal(await tried({ channel_binding: 'require' }), 'encrypted')
  assert.match(
    await tried({ channel_binding: 'require' }, 'replication'),
    /channel_binding=require, but the server authenticates without it/,
  )
  assert.equal(await tried({ channel_binding: 'prefer' }), 'plain', 'on our own machine')
})
