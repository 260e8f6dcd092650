import assert from 'node:assert/strict'
import test from 'node:test'
import { EtcdFault } from '../../../../src/dcs/etcd/faults.ts'
import type { EtcdRpc } from '../../../../src/dcs/etcd/rpc.ts'
import { type EtcdSecrets, FileSecrets } from '../../../../src/dcs/etcd/secrets.ts'
import { Tokens } from '../../../../src/dcs/etcd/tokens.ts'
import { silentLogger } from '../../../../src/platform/log.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

/** An etcd that knows one user, and counts what a password costs. */
function rig() {
  const clock = new FakeClock()
  const etcd = { password: 'right', isOn: true, valid: new Set<string>(), asked: 0 }
  let inFile = 'right'
  const read = async (): Promise<EtcdSecrets> => ({
    tls: undefined,
    auth: { username: 'ann', password: inFile },
  })
  const first = { tls: undefined, auth: { username: 'ann', password: inFile } }
  const secrets = new FileSecrets({ clock, logger: silentLogger, first, read })
  const results: string[] = []
  const tokens = new Tokens({
    clock,
    secrets,
    onAuthenticated: (_endpoint, result) => void results.push(result),
  })
  const rpc = {
    authenticate: async (_name: string, password: string) => {
      etcd.asked += 1
      if (!etcd.isOn) throw new Error('9 FAILED_PRECONDITION: etcdserver: authentication is not enabled')
      if (password !== etcd.password) {
        throw new Error('3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password')
      }
      const token = `t${etcd.asked}`
      etcd.valid.add(token)
      return token
    },
  } as unknown as EtcdRpc
  const request = async (token: string | undefined) => {
    if (!etcd.isOn) return 'done'
    if (token === undefined) throw new Error('3 INVALID_ARGUMENT: etcdserver: user name is empty')
    if (!etcd.valid.has(token)) throw new Error('gRPC 16: etcdserver: auth token is not valid')
    return 'done'
  }
  const send = (isLenient = false) =>
    tokens.send({ name: 'm0', rpc }, new AbortController().signal, isLenient, request)
  const close = () => {
    tokens.close()
    secrets.close()
    assert.equal(clock.timers, 0)
  }
  const write = (password: string) => {
    inFile = password
  }
  return { clock, etcd, send, results, close, write, tokens }
}

const isAuthFault = (error: unknown) => error instanceof EtcdFault && error.kind === 'auth'

test('a token is asked for once and used until it is refused, then replaced within the same request', async () => {
  const { etcd, send, close } = rig()
  await Promise.all([send(), send(), send()])
  assert.equal(etcd.asked, 1)
  etcd.valid.clear()
  assert.equal(await send(), 'done')
  assert.equal(etcd.asked, 2)
  close()
})

test('without authentication in etcd there is no token, until etcd asks for one', async () => {
  const { etcd, send, results, close } = rig()
  etcd.isOn = false
  await send()
  await send()
  assert.equal(etcd.asked, 1)
  etcd.isOn = true
  assert.equal(await send(), 'done')
  assert.deepEqual(results, ['off', 'ok'])
  close()
})

test('a wrong password is not offered more than once a second, and the file is looked at again', async () => {
  const { clock, etcd, send, write, close } = rig()
  await send()
  etcd.password = 'new'
  etcd.valid.clear()
  for (let count = 0; count < 50; count += 1) {
    await assert.rejects(send(), isAuthFault)
    await clock.advance(100)
  }
  assert.ok(etcd.asked >= 5 && etcd.asked <= 7, `${etcd.asked}`)
  write('new')
  await clock.advance(2_000)
  await send().catch(() => {})
  await clock.advance(100)
  assert.equal(await send(), 'done')
  close()
})

test('who may go without a token does, when the password is refused', async () => {
  const { etcd, send, close } = rig()
  etcd.password = 'new'
  await assert.rejects(send(true), /user name is empty/)
  etcd.isOn = false
  assert.equal(await send(true), 'done')
  close()
})
