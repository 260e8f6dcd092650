import assert from 'node:assert/strict'
import test from 'node:test'
import { type EtcdSecrets, FileSecrets } from '../../../../src/dcs/etcd/secrets.ts'
import { type Logger, silentLogger } from '../../../../src/platform/log.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const user = (password: string): EtcdSecrets => ({ tls: undefined, auth: { username: 'ann', password } })

function rig() {
  const clock = new FakeClock()
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warning: says => void warnings.push(says) }
  const file = { now: user('a'), failure: undefined as Error | undefined }
  const read = async () => {
    if (file.failure !== undefined) throw file.failure
    return file.now
  }
  const secrets = new FileSecrets({ clock, logger, first: user('a'), read })
  const changes: string[] = []
  secrets.onChange(({ tls, auth }) => changes.push(`${tls ? 'tls' : ''}${auth ? 'auth' : ''}`))
  return { clock, file, secrets, warnings, changes }
}

test('a change is told once, with what changed', async () => {
  const { clock, file, secrets, changes } = rig()
  await clock.advance(30_000)
  assert.deepEqual(changes, [])
  file.now = user('b')
  await clock.advance(10_000)
  await clock.advance(30_000)
  assert.deepEqual(changes, ['auth'])
  assert.equal(secrets.current().auth?.password, 'b')
  secrets.close()
  assert.equal(clock.timers, 0)
})

test('what cannot be read or used leaves the old in force, and is told once', async () => {
  const { clock, file, secrets, warnings, changes } = rig()
  file.failure = new Error('ENOENT: no such file')
  await clock.advance(30_000)
  file.failure = undefined
  file.now = { ...user('a'), tls: { cert: Buffer.from('no certificate'), key: Buffer.from('no key') } }
  await clock.advance(30_000)
  assert.deepEqual(changes, [])
  assert.equal(secrets.current().tls, undefined)
  assert.equal(warnings.length, 2)
  secrets.close()
})

test('a refusal makes it look soon, but not all the time', async () => {
  const { clock, file, secrets, changes } = rig()
  await clock.advance(3_000)
  file.now = user('b')
  secrets.suspect()
  await clock.advance(0)
  assert.deepEqual(changes, ['auth'])
  file.now = user('c')
  secrets.suspect()
  await clock.advance(1_000)
  assert.deepEqual(changes, ['auth'])
  secrets.close()
})
