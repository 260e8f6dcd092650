// A resumed TLS session proves no more than the session it resumes did.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { type ConnectionOptions, connect } from 'node:tls'
import { threeMembers } from '../support/agent-status.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startRestServer } from '../support/rest-server.ts'

const folder = await mkdtemp(path.join(tmpdir(), 'pgherd-resumed-'))
after(() => rm(folder, { recursive: true, force: true }))
const certificates = await makeCertificates(folder)
const server = await certificates.issue('server')
const client = await certificates.issue('client')
const other = await makeCertificates(path.join(folder, 'others')).then(others => others.issue('stranger'))

interface Exchange {
  readonly code: number
  readonly isReused: boolean
  readonly session: Buffer | undefined
}

async function call(port: number, own: ConnectionOptions, session?: Buffer): Promise<Exchange> {
  const ca = await readFile(certificates.ca)
  return await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, ca, timeout: 5_000, ...own }
    const socket = connect(session === undefined ? options : { ...options, session })
    let last: Buffer | undefined
    let answer = ''
    socket.on('session', ticket => {
      last = ticket
    })
    socket.on('secureConnect', () => socket.write('POST /reload HTTP/1.0\r\nContent-Length: 0\r\n\r\n'))
    socket.on('data', bytes => {
      answer += bytes.toString('latin1')
    })
    socket.on('timeout', () => socket.destroy(new Error('no answer within 5 s')))
    socket.on('error', reject)
    socket.on('end', () => {
      resolve({ code: Number(answer.split(' ', 2)[1]), isReused: socket.isSessionReused(), session: last })
      socket.destroy()
    })
  })
}

const none = async (): Promise<ConnectionOptions> => ({})
const filesOf = (own: { readonly cert: string; readonly key: string }) => async () => ({
  cert: await readFile(own.cert),
  key: await readFile(own.key),
})
const rows = [
  { who: 'without a certificate', own: none, code: 403 },
  { who: 'with a certificate of another authority', own: filesOf(other), code: 403 },
  { who: 'with a certificate of the authority', own: filesOf(client), code: 202 },
] as const

for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
  for (const { who, own, code } of rows) {
    test(`verify_client optional, ${maxVersion}, ${who}: a resumed session gets ${code} as the first did`, async () => {
      const { port, agent } = await startRestServer(after, {
        tls: {
          certfile: server.cert,
          keyfile: server.key,
          keyfilePassword: undefined,
          cafile: certificates.ca,
          ciphers: undefined,
          verifyClient: 'optional',
        },
      })
      await agent.put(threeMembers)
      const mine = { ...(await own()), maxVersion }
      const first = await call(port, mine)
      assert.deepEqual([first.code, first.isReused], [code, false])
      assert.ok(first.session !== undefined, 'the server gave no session')
      const second = await call(port, mine, first.session)
      assert.deepEqual([second.code, second.isReused], [code, true])
    })
  }
}
