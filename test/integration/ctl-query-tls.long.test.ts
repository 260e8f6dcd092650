// `query` keeps to libpq's words about encryption: the variables, and the files in ~/.postgresql.

import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { connectMember } from '../../src/ctl/query-connection.ts'
import { realClock } from '../../src/platform/clock.ts'
import { makeCertificates } from '../support/certificates.ts'
import { Rig } from './postgres-rig.ts'

const rig = await Rig.open()
after(() => rig.cleanUp())
const at = (name: string) => join(rig.directory, name)
const certificates = await makeCertificates(at('certificates'))
const others = await makeCertificates(at('others'))
// For `localhost` and an address that is not this server's.
const server = await certificates.issue('server', '127.0.0.9')
const client = await certificates.issue('postgres')
const port = await start()

/** Lets in who comes encrypted: by password, or the superuser by his certificate alone. */
async function start(): Promise<number> {
  const { config, settings } = await rig.member('pg1')
  const parameters = {
    ...settings.parameters,
    ssl: 'on',
    ssl_cert_file: server.cert,
    ssl_key_file: server.key,
    ssl_ca_file: certificates.ca,
  }
  const pgHba = ['local all all trust', 'hostssl shut all all cert', 'hostssl all all all trust']
  const member = rig.build(config, { ...settings, parameters, pgHba })
  await member.server.bootstrap(AbortSignal.timeout(60_000))
  return config.postgres.port
}

interface Attempt {
  readonly env?: NodeJS.ProcessEnv
  readonly home?: string
  readonly host?: string
  readonly database?: string
}

/** How the server says that this connection is encrypted, or why there is none. */
async function tried({ env = {}, home = at('nowhere'), host = '127.0.0.1', database = 'postgres' }: Attempt) {
  const login = { username: 'postgres', database, password: undefined }
  try {
    const connection = await connectMember({ host, port }, login, { env, home, clock: realClock })
    const { rows } = await connection.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
    await connection.end()
    return rows[0].ssl === 't' ? 'encrypted' : 'plain'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const ca = { PGSSLROOTCERT: certificates.ca }
const stranger = { PGSSLROOTCERT: others.ca }
const rows: readonly (readonly [string, Attempt, RegExp])[] = [
  ['nothing said', {}, /^encrypted$/],
  ['disable, where the server wants TLS', { env: { PGSSLMODE: 'disable' } }, /no encryption/],
  ['allow, where the server wants TLS', { env: { PGSSLMODE: 'allow' } }, /^encrypted$/],
  ['verify-ca by its authority', { env: { PGSSLMODE: 'verify-ca', ...ca } }, /^encrypted$/],
  [
    'verify-ca by another authority',
    { env: { PGSSLMODE: 'verify-ca', ...stranger } },
    /unable to verify|self.signed/,
  ],
  [
    'require with another authority, as verify-ca',
    { env: { PGSSLMODE: 'require', ...stranger } },
    /unable to verify|self.signed/,
  ],
  ['require alone', { env: { PGSSLMODE: 'require' } }, /^encrypted$/],
  [
    'verify-full at another address than the certificate is for',
    { env: { PGSSLMODE: 'verify-full', ...ca } },
    /127\.0\.0\.1/,
  ],
  [
    'verify-full at the name that it is for',
    { env: { PGSSLMODE: 'verify-full', ...ca }, host: 'localhost' },
    /^encrypted$/,
  ],
  [
    'verify-ca without an authority',
    { env: { PGSSLMODE: 'verify-ca' } },
    /^root certificate file ".*nowhere\/\.postgresql\/root\.crt" does not exist/,
  ],
  ['a mode that is none', { env: { PGSSLMODE: 'verify_full' } }, /^PGSSLMODE: invalid value "verify_full"/],
]
for (const [what, attempt, want] of rows) {
  test(`query with the variables of libpq, ${what}`, async () => assert.match(await tried(attempt), want))
}

test('query shows the certificate that the variables name', async () => {
  const shut = { database: 'shut' }
  assert.match(await tried(shut), /requires a valid client certificate/)
  const env = { PGSSLCERT: client.cert, PGSSLKEY: client.key }
  assert.match(await tried({ ...shut, env }), /database "shut" does not exist/)
  assert.match(
    await tried({ ...shut, env: { PGSSLCERT: client.cert } }),
    /certificate present, but not private key file/,
  )
})

test('query takes authority, certificate and key from ~/.postgresql without being told', async () => {
  const home = at('home')
  await mkdir(join(home, '.postgresql'), { recursive: true })
  const files = { 'root.crt': certificates.ca, 'postgresql.crt': client.cert, 'postgresql.key': client.key }
  for (const [name, file] of Object.entries(files)) await copyFile(file, join(home, '.postgresql', name))
  assert.equal(await tried({ home, env: { PGSSLMODE: 'verify-ca' } }), 'encrypted')
  assert.match(await tried({ home, database: 'shut' }), /database "shut" does not exist/)
  const elsewhere = { ...stranger, PGSSLMODE: 'verify-ca' }
  assert.match(await tried({ home, env: elsewhere }), /unable to verify|self.signed/, 'a variable wins')
})
