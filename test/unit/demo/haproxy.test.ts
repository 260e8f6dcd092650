import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import { haproxyText } from '../../../src/demo/haproxy.ts'

const seed = new URL('../../fixtures/seed/haproxy.cfg', import.meta.url)

test('the HAProxy that the demo compares with is configured as the article has it, but for its log and addresses', async () => {
  const theirs = (await readFile(seed, 'utf8')).replaceAll('bind *:', 'bind 10.0.0.1:')
  const servers = ['201', '202', '203'].map(last => {
    const address = `192.168.234.${last}`
    return { name: `postgresql_${address}_5432`, address, postgresPort: 5432, restPort: 8008 }
  })
  const ports = { write: 5000, read: 6000, admin: 7000 }
  const ours = haproxyText('10.0.0.1', ports, servers, { intervalMs: 3_000, fall: 3, rise: 2 })
  const isKept = (line: string) => !/^ *log /.test(line)
  assert.deepEqual(ours.trimEnd().split('\n'), theirs.trimEnd().split('\n').filter(isKept))
})
