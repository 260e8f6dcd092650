import assert from 'node:assert/strict'
import test from 'node:test'
import type { RestAnswer } from '../../../src/ctl/context.ts'
import { editConfig } from '../../../src/ctl/edit-config.ts'
import { reload } from '../../../src/ctl/restart.ts'
import { type Called, ctlScene, ended } from '../../support/ctl-scene.ts'

const edit = {
  quiet: true,
  settings: ['ttl=40'],
  parameters: [],
  apply: undefined,
  replace: undefined,
  force: true,
  wait: true,
}
const noPrograms = { run: async () => 1, editor: async () => 'editor', pager: async () => 'pager' }
const order = { scope: 'main', names: ['pg1', 'pg2'], role: 'any', force: true, wait: true } as const

function ok(document: unknown): RestAnswer {
  return { code: 200, text: JSON.stringify(document) }
}

test('edit-config --wait goes on until every member says that it works by the new revision', async () => {
  let looks = 0
  const scene = await ctlScene([], ({ url }: Called) => {
    looks += 1
    // pg2 is one look late: it still works by the first revision.
    const isLate = url.includes('10.0.0.2') && looks < 5
    return ok({ pgherd: { config_revision: isLate ? 1 : 1_000 } })
  })
  scene.terminal.isScreen = true
  await ended(scene, editConfig(scene.context, noPrograms, undefined, edit))
  assert.match(scene.terminal.warned, /waiting for pg2 \(0 s\)/)
  assert.equal(scene.terminal.printed, 'Configuration changed\nEvery member works by this configuration\n')
  assert.equal(scene.refusals(), 0)
})

test('a member that does not take the configuration is named in the end, and counts for --strict', async () => {
  const scene = await ctlScene([], ({ url }: Called) => {
    if (url.includes('10.0.0.3')) throw new Error('no route')
    return ok({ pgherd: { config_revision: url.includes('10.0.0.2') ? 1 : 1_000 } })
  })
  await ended(scene, editConfig(scene.context, noPrograms, undefined, edit))
  assert.equal(
    scene.terminal.printed,
    'Configuration changed\npg2 has not taken the configuration yet\npg3 has not taken the configuration yet\n',
  )
  assert.equal(scene.refusals(), 1)
})

test('of a member of the real Patroni the configuration that it answers with counts', async () => {
  let looks = 0
  const scene = await ctlScene([], ({ endpoint }: Called) => {
    if (endpoint === 'patroni') return ok({ state: 'running', patroni: { version: '3.0.2' } })
    looks += 1
    return ok({ retry_timeout: 10, ttl: looks > 3 ? 40 : 30, loop_wait: 10 })
  })
  await ended(scene, editConfig(scene.context, noPrograms, undefined, edit))
  assert.match(scene.terminal.printed, /Every member works by this configuration\n$/)
  assert.ok(looks > 3)
})

test('reload --wait goes on until our agents have answered the order, and tells what was wrong with a file', async () => {
  let looks = 0
  const scene = await ctlScene([], ({ method, url }: Called) => {
    if (method === 'POST') return { code: 202, text: 'reload scheduled' }
    looks += 1
    const isOver = looks > 4
    const error = url.includes('10.0.0.2') ? { reload_error: 'patroni.yml:7: name: expected text' } : {}
    return ok({ pgherd: { reloads_asked: 3, reloads_answered: isOver ? 3 : 2, ...error } })
  })
  await ended(scene, reload(scene.context, order))
  assert.match(
    scene.terminal.printed,
    /within 10 seconds\nReload is completed on: pg1\nFailed: reload on member pg2: patroni\.yml:7: name: expected text\n$/,
  )
  assert.equal(scene.refusals(), 1)
})

test('a real Patroni has read its file when two more turns have ended', async () => {
  let looks = 0
  const scene = await ctlScene([], ({ method }: Called) => {
    if (method === 'POST') return { code: 202, text: 'reload scheduled' }
    looks += 1
    return ok({ state: 'running', dcs_last_seen: 1_000 + Math.floor(looks / 4) })
  })
  await ended(scene, reload(scene.context, { ...order, names: ['pg1'] }))
  assert.match(scene.terminal.printed, /Reload is completed on: pg1\n$/)
  assert.equal(looks, 8)
})

test('a member that falls silent during its reload is named', async () => {
  const scene = await ctlScene([], ({ method }: Called) => {
    if (method === 'POST') return { code: 202, text: 'reload scheduled' }
    throw new Error('no route')
  })
  await ended(scene, reload(scene.context, { ...order, names: ['pg1'] }))
  assert.match(scene.terminal.printed, /pg1 has not told the end of its reload\n$/)
  assert.equal(scene.refusals(), 1)
})
