import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { checkAll } from '../../../src/commands/check.ts'

const SEED = path.resolve(import.meta.dirname, '../../fixtures/seed')
const folder = await mkdtemp(path.join(tmpdir(), 'pgherd-check-'))
after(() => rm(folder, { recursive: true }))

async function written(name: string, text: string): Promise<string> {
  const file = path.join(folder, name)
  await writeFile(file, text)
  return file
}

test('a haproxy.cfg and a patroni.yml are checked together: outages follow from the numbers of both', async () => {
  const said = await checkAll([path.join(SEED, 'haproxy.cfg'), path.join(SEED, 'patroni.yml')], {})
  assert.match(said, /haproxy\.cfg: can be used: pgsql on 0\.0\.0\.0:5000 \(leader, 3 servers\)/)
  assert.match(said, /leader's host dies -> writes back after 24-38 s \(20-30 s left of ttl/)
  assert.match(said, /half of new writes reach a read-only server for 2\.5-3\.5 s/)
  assert.match(said, /patroni\.yml: can be used: member pg1 of pgsql/)
})

test('several haproxy.cfg are checked as one, in order, whatever stands between them', async () => {
  const base = await written(
    'base.cfg',
    'global\n  maxconn 500\ndefaults\n  timeout client 5m\n  timeout connect 3s\n',
  )
  const sections = await written(
    'sections.cfg',
    'listen w\n  bind *:5000\n  option httpchk GET /primary\n  server pg1 10.0.0.1:5432 check port 8008\n',
  )
  const said = await checkAll([base, path.join(SEED, 'patroni.yml'), sections], {})
  assert.match(said, /base\.cfg:4: trap: sessions are cut when nothing moves for 5 min/)
  assert.match(said, /base\.cfg, \S*sections\.cfg: can be used: w on 0\.0\.0\.0:5000 \(leader, 1 servers\)/)
  assert.equal(said.match(/can be used/g)?.length, 2)
  const wrong = await written('more.cfg', 'listen w\n  bnd *:5000\n')
  await assert.rejects(
    checkAll([base, sections, wrong], {}),
    /more\.cfg:1: listen w: there is another section/,
  )
})

test('the proxy’s own file is told from an agent’s', async () => {
  const file = await written('proxy.yml', 'scope: pgsql\netcd: { hosts: [10.0.0.4:2379] }\n')
  assert.match(
    await checkAll([file], {}),
    /can be used: proxy of pgsql, members from etcd, write on \*:5000 \(leader\)/,
  )
})

test('mistakes of all files are told together', async () => {
  const one = await written('a.cfg', 'listen w\n  bnd *:5000\n')
  const two = await written('b.yml', 'scope: pgsql\nlisteners: 1\netcd: { hosts: [10.0.0.4:2379] }\n')
  await assert.rejects(checkAll([one, two], {}), (error: Error) => {
    assert.match(error.message, /a\.cfg:2: bnd: unknown directive; did you mean bind\?/)
    assert.match(error.message, /b\.yml:2: listeners: expected a mapping/)
    return true
  })
})
