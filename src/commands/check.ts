// `pgherd check FILE...`: reads configurations as the commands would, and says what is wrong with them, what will surprise
// somebody, and what outages the numbers lead to. Touches nothing else. Exit code 0 or 1, as `haproxy -c` has.

import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { isObject } from '../cluster/json.ts'
import { printWhere } from '../config/agent/etcd.ts'
import { loadLocalConfig, printWarning } from '../config/agent/local.ts'
import { parseYamlMapping } from '../config/agent/yaml.ts'
import { isHaproxyText, loadHaproxy, placeOf, printRemark } from '../config/haproxy/load.ts'
import { type AgentTimes, agentDefaults, predict, printSpan, twoWriters } from '../config/haproxy/predict.ts'
import { findTraps } from '../config/haproxy/traps.ts'
import { loadKeepalived, printRemark as printPlace } from '../config/keepalived/load.ts'
import { tellTakeover } from '../config/keepalived/predict.ts'
import { isKeepalivedText } from '../config/keepalived/read.ts'
import { loadProxyConfig } from '../config/proxy/load.ts'
import { printBinds } from '../config/proxy/types.ts'
import { UserError } from '../platform/errors.ts'

/** The command as the program's table wants it. */
export function checkCommand(): Command {
  return new Command('check')
    .description(
      'read configuration files and say what is wrong with them; exit code 1 when one cannot be used',
    )
    .argument(
      '[FILE...]',
      "patroni.yml, or a directory of them (PATRONI_* variables override); the proxy's file; a haproxy.cfg; a keepalived.conf",
    )
    .option('--lenient', 'with a haproxy.cfg: directives that are not known are warnings')
    .action(async (files: readonly string[], { lenient = false }: { readonly lenient?: boolean }) => {
      process.stdout.write(await checkAll(files, process.env, lenient))
    })
}

/** Checks every file; throws UserError with all that is wrong in any of them. */
export async function checkAll(
  files: readonly string[],
  env: NodeJS.ProcessEnv,
  lenient = false,
): Promise<string> {
  if (files.length === 0) return await check(undefined, env)
  const times = await agentTimes(files)
  const mistakes: string[] = []
  let said = ''
  const kinds = await Promise.all(files.map(kindOf))
  // The proxy reads several of them as one.
  const haproxyFiles = files.filter((_file, index) => kinds[index] === 'haproxy')
  for (const [index, file] of files.entries()) {
    const kind = kinds[index]
    if (kind === 'haproxy' && file !== haproxyFiles[0]) continue
    try {
      said +=
        kind === 'haproxy'
          ? await checkHaproxy(haproxyFiles, env, lenient, times)
          : await checkOne(file, kind, env, lenient)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      mistakes.push(error.message)
    }
  }
  if (mistakes.length > 0) throw new UserError(mistakes.join('\n'))
  return said
}

type Kind = 'agent' | 'proxy' | 'haproxy' | 'keepalived'

async function kindOf(file: string): Promise<Kind> {
  return kindOfText(await readFile(file, 'utf8').catch(() => ''), file)
}

/** What kind of file a text is, by the keys that only one kind has. */
export function kindOfText(text: string, file: string): Kind {
  if (isHaproxyText(text)) return 'haproxy'
  if (isKeepalivedText(text)) return 'keepalived'
  const keys = topKeys(text, file)
  const isProxy = ['listeners', 'admin', 'checks', 'patroni', 'data_plane'].some(key => keys.includes(key))
  const isAgent = ['postgresql', 'restapi', 'bootstrap'].some(key => keys.includes(key))
  return isProxy && !isAgent
    ? 'proxy'
    : keys.length > 0 && !isAgent && keys.includes('etcd') && !keys.includes('name')
      ? 'proxy'
      : 'agent'
}

function topKeys(text: string, file: string): readonly string[] {
  try {
    return Object.keys(parseYamlMapping(text, file).value)
  } catch {
    // Its own reader will say what is wrong. A word at the start of a line is enough to choose it.
    return [...text.matchAll(/^([a-z_0-9]+):/gm)].map(match => match[1] ?? '')
  }
}

async function checkOne(
  file: string,
  kind: Kind | undefined,
  env: NodeJS.ProcessEnv,
  lenient: boolean,
): Promise<string> {
  if (kind === 'keepalived') return await checkKeepalived(file, lenient)
  if (kind === 'proxy') return await checkProxy(file)
  return await check(file, env)
}

/** All warnings, one a line, and a last line that names the member. Throws UserError for what cannot be used. */
export async function check(file: string | undefined, env: NodeJS.ProcessEnv): Promise<string> {
  const local = await loadLocalConfig(file, env)
  const lines = [
    ...local.warnings.map(printWarning),
    `${local.file}: can be used: member ${local.name} of ${local.scope}, etcd at ${printWhere(local.etcd)}`,
  ]
  return `${lines.join('\n')}\n`
}

async function checkProxy(file: string): Promise<string> {
  const { listeners, scope, discovery } = await loadProxyConfig(file)
  const ports = listeners.map(({ name, binds, pool }) => `${name} on ${printBinds(binds)} (${pool})`)
  return `${file}: can be used: proxy of ${scope}, members from ${discovery.kind}, ${ports.join(', ')}\n`
}

async function checkKeepalived(file: string, lenient: boolean): Promise<string> {
  const { config, remarks } = await loadKeepalived(file, { lenient, selfNames: ['haproxy', 'patroni'] })
  const instances = config.instances.map(instance => {
    const { name, interfaceName, version, routerId, priority, addresses } = instance
    const list = addresses.map(({ address }) => address).join(', ')
    return `${name} on ${interfaceName} (VRRP ${version}, router ${routerId}, priority ${priority}, ${list})`
  })
  const lines = [
    ...remarks.map(remark => printPlace(file, remark)),
    ...config.instances.map(instance => `${file}:${instance.line}: ${tellTakeover(instance)}`),
    `${file}: can be used: ${instances.join(', ')}`,
  ]
  return `${lines.join('\n')}\n`
}

/** The agents' numbers and where they were found. */
interface KnownTimes {
  readonly times: AgentTimes
  readonly from: string
}

/** The numbers of a patroni.yml among the files; the defaults without one. */
async function agentTimes(files: readonly string[]): Promise<KnownTimes> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (isHaproxyText(text) || !/^bootstrap:/m.test(text)) continue
    const times = timesOf(text, file)
    if (times !== undefined) return { times, from: file }
  }
  return { times: agentDefaults, from: "the agents' defaults" }
}

function timesOf(text: string, file: string): AgentTimes | undefined {
  try {
    const { bootstrap } = parseYamlMapping(text, file).value
    const dcs = isObject(bootstrap) && isObject(bootstrap['dcs']) ? bootstrap['dcs'] : {}
    const number = (key: string, otherwise: number) => {
      const value = dcs[key]
      return typeof value === 'number' ? value : otherwise
    }
    return {
      ttlSeconds: number('ttl', agentDefaults.ttlSeconds),
      loopWaitSeconds: number('loop_wait', agentDefaults.loopWaitSeconds),
      retryTimeoutSeconds: number('retry_timeout', agentDefaults.retryTimeoutSeconds),
    }
  } catch {
    return undefined
  }
}

async function checkHaproxy(
  files: readonly string[],
  env: NodeJS.ProcessEnv,
  lenient: boolean,
  { times, from }: KnownTimes,
): Promise<string> {
  const read = await loadHaproxy(files, { lenient, env })
  const { config, places, remarks } = read
  const ports = config.listeners.map(
    ({ name, binds, pool, servers }) =>
      `${name} on ${printBinds(binds)} (${pool}, ${servers.length} servers)`,
  )
  const leader = config.listeners.find(({ pool }) => pool === 'leader')
  const spec = leader?.servers.find(({ check: one }) => one !== undefined)?.check
  const lines = [
    ...remarks.map(remark => `${printRemark(places, remark)}`),
    ...findTraps(read).map(({ line, says }) => `${placeOf(places, line)}: trap: ${says}`),
    ...(spec === undefined ? [] : tellOutages(spec, times, from)),
    `${files.join(', ')}: can be used: ${ports.join(', ')}, status on ${config.admin.binds.length === 0 ? 'no port' : printBinds(config.admin.binds)}`,
  ]
  return `${lines.join('\n')}\n`
}

function tellOutages(
  spec: Parameters<typeof predict>[0],
  times: AgentTimes,
  from: string,
): readonly string[] {
  const { ttlSeconds, loopWaitSeconds } = times
  const head = `outages to expect (inter ${spec.intervalMs / 1000} s, rise ${spec.rise}, fall ${spec.fall}; ttl ${ttlSeconds}, loop_wait ${loopWaitSeconds} from ${from}):`
  const both = twoWriters(spec)
  const lines = predict(spec, times).map(({ fault, span, because, withStore }) => {
    const two =
      fault === 'planned switchover' && both !== undefined
        ? `; behind HAProxy half of new writes reach a read-only server for ${printSpan(both)} of them, behind pgherd none`
        : ''
    return `  ${fault} -> writes back after ${printSpan(span)} (${because})${two}; with --etcd ${printSpan(withStore)}`
  })
  return [head, ...lines]
}
