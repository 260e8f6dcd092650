import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import test from 'node:test'
import type { Member } from '../../../src/demo/member.ts'
import { Prober } from '../../../src/demo/prober.ts'

const ENOUGH_MS = 10_000

test('a prober ends while a server takes its connections and says nothing', async t => {
  const open = new Set<Socket>()
  const silent = createServer(socket => open.add(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  t.after(() => {
    for (const socket of open) socket.destroy()
    silent.close()
  })
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const leader = { query: async () => [] } as unknown as Member
  const direct = { host: '127.0.0.1', port, user: 'nobody', password: '' }
  const prober = await Prober.start(leader, [{ name: 'silent', direct }])
  await once(silent, 'connection')
  const late = new Promise<'hangs'>(resolve => setTimeout(() => resolve('hangs'), ENOUGH_MS).unref())
  assert.deepEqual(await Promise.race([prober.stop(), late]), [])
})
