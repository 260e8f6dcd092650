import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import test from 'node:test'
import { lookupEndpoints } from '../../../../src/dcs/etcd/srv.ts'
import { realClock } from '../../../../src/platform/clock.ts'
import { Deadline } from '../../../../src/platform/deadline.ts'
import { HaError } from '../../../../src/platform/errors.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const soon = () => Deadline.in(realClock, 10_000)

const records = (...names: readonly (readonly [string, number, number])[]) =>
  names.map(([name, priority, weight]) => ({ name, port: 2379, priority, weight }))

test('the first service that has records is used, encrypted ones before others', async () => {
  const asked: string[] = []
  const answer = await lookupEndpoints({ domain: 'example.org', suffix: undefined }, soon(), async name => {
    asked.push(name)
    if (name !== '_etcd-client._tcp.example.org') throw new Error(`querySrv ENOTFOUND ${name}`)
    return records(['e2.example.org', 10, 0], ['e1.example.org.', 5, 0], ['e3.example.org', 10, 9])
  })
  assert.equal(asked[0], '_etcd-client-ssl._tcp.example.org')
  assert.equal(asked.length, 4, 'all are asked at once')
  assert.deepEqual(answer, [
    'http://e1.example.org:2379',
    'http://e3.example.org:2379',
    'http://e2.example.org:2379',
  ])
})

test('a suffix is part of the service’s name', async () => {
  const answer = await lookupEndpoints({ domain: 'example.org', suffix: 'blue' }, soon(), async name =>
    name === '_etcd-client-ssl-blue._tcp.example.org' ? records(['e1', 0, 0]) : [],
  )
  assert.deepEqual(answer, ['https://e1:2379'])
})

test('without any record the error names what was asked', async () => {
  const never = async (name: string) => {
    throw new Error(`querySrv ENOTFOUND ${name}`)
  }
  await assert.rejects(
    lookupEndpoints({ domain: 'example.org', suffix: undefined }, soon(), never),
    error => {
      return error instanceof HaError && /_etcd-client-ssl\._tcp\.example\.org/.test(error.message)
    },
  )
})

test('names that nobody answers for cost 3 s once, not one after the other', async () => {
  const clock = new FakeClock()
  const silent = () => new Promise<never>(() => {})
  const looked = lookupEndpoints(
    { domain: 'example.org', suffix: undefined },
    Deadline.in(clock, 10_000),
    silent,
  )
  const refused = assert.rejects(looked, /_etcd-client-ssl\._tcp\.example\.org did not finish.*_etcd\._tcp/)
  await clock.advance(3_000)
  await refused
  const one = lookupEndpoints(
    { domain: 'example.org', suffix: undefined },
    Deadline.in(clock, 10_000),
    async name => (name.startsWith('_etcd._tcp') ? records(['e1', 0, 0]) : silent()),
  )
  await clock.advance(3_000)
  assert.deepEqual(await one, ['http://e1:2379'])
})

test('a real resolver finds the records of a real name server', async () => {
  const server = createSocket('udp4')
  server.on('message', (question, from) => server.send(answerTo(question), from.port, from.address))
  await new Promise<void>(resolve => server.bind(0, '127.0.0.1', resolve))
  try {
    const resolver = new Resolver({ timeout: 2_000, tries: 1 })
    resolver.setServers([`127.0.0.1:${server.address().port}`])
    const answer = await lookupEndpoints({ domain: 'example.org', suffix: undefined }, soon(), name =>
      resolver.resolveSrv(name),
    )
    assert.deepEqual(answer, ['https://e1.example.org:2379'])
  } finally {
    server.close()
  }
})

/** The question with one SRV record: priority 1, weight 2, port 2379, e1.example.org. */
function answerTo(question: Buffer): Buffer {
  const head = Buffer.from(question.subarray(0, 12))
  head.writeUInt16BE(0x8180, 2)
  head.writeUInt16BE(1, 6)
  head.writeUInt16BE(0, 10)
  const end = question.indexOf(0, 12) + 5
  const target = Buffer.concat(
    ['e1', 'example', 'org', ''].map(label => Buffer.from([label.length, ...Buffer.from(label)])),
  )
  const record = Buffer.alloc(18)
  record.writeUInt16BE(0xc00c, 0)
  record.writeUInt16BE(33, 2)
  record.writeUInt16BE(1, 4)
  record.writeUInt32BE(60, 6)
  record.writeUInt16BE(6 + target.length, 10)
  record.writeUInt16BE(1, 12)
  record.writeUInt16BE(2, 14)
  record.writeUInt16BE(2379, 16)
  return Buffer.concat([head, question.subarray(12, end), record, target])
}
