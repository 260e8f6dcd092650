import assert from 'node:assert/strict'
import test from 'node:test'
import { connectMember } from '../../../src/ctl/query-connection.ts'
import { realClock } from '../../../src/platform/clock.ts'

test('whom the whole system trusts is believed with the name of the host alone, as libpq has it', async () => {
  for (const sslmode of ['disable', 'allow', 'prefer', 'require', 'verify-ca'])
    await assert.rejects(
      connectMember(
        { host: '127.0.0.1', port: 1 },
        { username: 'u', database: 'd', password: undefined },
        { env: { PGSSLMODE: sslmode, PGSSLROOTCERT: 'system' }, home: '/nowhere', clock: realClock },
      ),
      {
        name: 'UserError',
        message: `PGSSLMODE: "${sslmode}" is too weak beside PGSSLROOTCERT=system: use verify-full`,
      },
    )
})
