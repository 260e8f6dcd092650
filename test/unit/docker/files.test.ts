// What can be said about the images and the compose file by reading them.

import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { DOCKER, readCompose, readStages, wordsOf } from '../../integration/docker/compose.ts'

const variables = {
  PGHERD_SUPERUSER_PASSWORD: 'a',
  PGHERD_REPLICATION_PASSWORD: 'b',
  PGHERD_REWIND_PASSWORD: 'c',
}
const { services, volumes } = await readCompose(variables)
const stages = await readStages()
const root = path.resolve(DOCKER, '..')

test('the compose file has three etcd members, three agents and two proxies', () => {
  const names = ['etcd1', 'etcd2', 'etcd3', 'pg1', 'pg2', 'pg3', 'proxy1', 'proxy2']
  assert.deepEqual(Object.keys(services), names)
})

test('every service is built from a stage that the Dockerfile has', () => {
  for (const { build } of Object.values(services)) {
    assert.equal(path.resolve(DOCKER, build.context), root)
    assert.ok(existsSync(path.join(root, build.dockerfile)))
    assert.ok(
      stages.some(({ name }) => name === build.target),
      build.target,
    )
  }
})

test('every mounted file exists and every named volume is declared', () => {
  for (const entry of Object.values(services).flatMap(service => service.volumes ?? [])) {
    const [source = ''] = entry.split(':')
    if (source.startsWith('.')) assert.ok(existsSync(path.join(DOCKER, source)), entry)
    else assert.ok(source in volumes, entry)
  }
})

test('every file that the Dockerfile copies from the checkout exists and is in the build context', async () => {
  const ignore = await readFile(path.join(DOCKER, 'Dockerfile.dockerignore'), 'utf8')
  const admitted = [...ignore.matchAll(/^!(.+)$/gm)].map(match => match[1])
  const copies = stages.flatMap(({ lines }) => lines).filter(line => /^COPY (?!--from)/.test(line))
  const sources = copies.flatMap(line => line.split(/\s+/).slice(1, -1)).filter(source => source !== '.')
  assert.ok(sources.length > 4)
  for (const source of sources) {
    assert.ok(existsSync(path.join(root, source)), source)
    assert.ok(admitted.includes(source.split('/')[0]), `${source} is not in the build context`)
  }
})

test('the build context holds everything that the build reads', async () => {
  const ignore = await readFile(path.join(DOCKER, 'Dockerfile.dockerignore'), 'utf8')
  const project = await readFile(path.join(root, 'tsconfig.build.json'), 'utf8')
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'package.json', 'package-lock.json', '.npmrc']
  const { include } = JSON.parse(project) as { include: readonly string[] }
  for (const needed of [...include, ...settings, 'scripts']) {
    assert.ok(ignore.split('\n').includes(`!${needed}`), `${needed} is not in the build context`)
  }
})

test('both images end as an unprivileged user, behind an entry point that exists', () => {
  for (const name of ['pgherd', 'etcd']) {
    const stage = stages.find(each => each.name === name)
    assert.ok(stage)
    const users = stage.lines.filter(line => line.startsWith('USER '))
    assert.equal(users.length, 1)
    assert.notEqual(users[0], 'USER root')
    assert.ok(wordsOf(stage, 'ENTRYPOINT').length > 0)
  }
  assert.ok((statSync(path.join(DOCKER, 'entrypoint.sh')).mode & 0o111) === 0o111)
})

test('published ports are those that the documentation names', async () => {
  const page = await readFile(path.join(root, 'docs/docker.md'), 'utf8')
  const published = Object.values(services).flatMap(({ ports }) => ports ?? [])
  assert.equal(published.length, 6)
  for (const entry of published) assert.match(page, new RegExp(`\\b${entry.split(':')[0]}\\b`), entry)
  const exposed = stages.find(({ name }) => name === 'pgherd')?.lines.find(line => line.startsWith('EXPOSE '))
  for (const entry of published) assert.ok(exposed?.includes(entry.split(':')[1] ?? '?'), entry)
})
