// The examples of docs/configuration.md are files that work, and the one of all defaults has the defaults.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { parse } from 'yaml'
import { dynamicConfig } from '../../../src/config/agent/dynamic.ts'
import { localConfig } from '../../../src/config/agent/local.ts'
import { serverSettings } from '../../../src/config/agent/settings.ts'
import { parseYamlMapping } from '../../../src/config/agent/yaml.ts'
import { parseProxyConfig } from '../../../src/config/proxy/load.ts'

const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/configuration.md'), 'utf8')

function example(name: string): string {
  const text = new RegExp(`^\`\`\`yaml\\n# ${name}\\n([^\`]*)^\`\`\`$`, 'm').exec(page)?.[1]
  assert.ok(text !== undefined, `no example ${name}`)
  return text
}

test('the example of an agent’s file is read without a warning', () => {
  const local = localConfig(
    { file: 'patroni.yml', ...parseYamlMapping(example('agent'), 'patroni.yml') },
    'postgres',
  )
  assert.deepEqual(local.warnings, [])
  const dynamic = dynamicConfig(local.bootstrap.dcs, true)
  assert.deepEqual(dynamic.warnings, [])
  assert.deepEqual(serverSettings(local, dynamic).warnings, [])
})

test('the example of a short lease is taken as it is', () => {
  const { value } = parseYamlMapping(example('dynamic'), 'dynamic')
  const config = dynamicConfig(value, true)
  assert.deepEqual(config.warnings, [])
  assert.deepEqual([config.ttlSeconds, config.loopWaitSeconds, config.retryTimeoutSeconds], [5, 1, 1])
})

test('the example with every setting of the proxy means the same as scope and etcd alone', () => {
  const { scope, etcd } = parse(example('proxy')) as { scope: string; etcd: { hosts: readonly string[] } }
  const smallest = JSON.stringify({ scope, etcd: { hosts: etcd.hosts } })
  assert.deepEqual(parseProxyConfig(example('proxy'), 'proxy.yml'), parseProxyConfig(smallest, 'proxy.yml'))
})

test('the example of a virtual address has the defaults', () => {
  const [vip] = parseProxyConfig(example('vip'), 'proxy.yml').vips
  const smallest =
    'scope: pgsql\netcd: {hosts: [10.0.0.4:2379]}\nvip: {write: {addresses: [10.0.0.9], interface: eth0}}\n'
  assert.deepEqual([vip], parseProxyConfig(smallest, 'proxy.yml').vips)
})

test('the smallest file of the README is a file of the proxy', () => {
  const readme = readFileSync(path.resolve(import.meta.dirname, '../../../README.md'), 'utf8')
  const text = /```yaml\n([^`]*)```/.exec(readme)?.[1] ?? ''
  assert.equal(parseProxyConfig(text, 'proxy.yml').scope, 'pgsql')
})
