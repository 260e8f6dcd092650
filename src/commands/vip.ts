// `pgherd vip clear FILE`: takes the virtual addresses of a file off this host, for systemd's ExecStopPost. `pgherd vip guard`:
// the process that the keeper of addresses starts beside itself.

import { uptime } from 'node:os'
import { Command } from 'commander'
import type { EtcdConfig } from '../config/agent/types.ts'
import type { CommandVipConfig } from '../config/vip/types.ts'
import { runChild } from '../platform/child.ts'
import { realClock } from '../platform/clock.ts'
import { Deadline } from '../platform/deadline.ts'
import { UserError } from '../platform/errors.ts'
import { openLog } from '../platform/log.ts'
import { lockNames } from '../vip/address-scope.ts'
import { commandEnvironment, failureOf } from '../vip/command-keeper.ts'
import { type GuardOrders, runGuard } from '../vip/guard.ts'
import { lockAddresses } from '../vip/host-lock.ts'
import { removeAddresses } from '../vip/removal.ts'
import { refuseWithoutCapabilities } from '../vip/system-check.ts'
import { keeperCommands } from '../vip/vips.ts'

const RELEASE_MS = 2_000
const LOCK_MS = 5_000

/** The command as the program's table wants it. */
export function vipCommand(): Command {
  const command = new Command('vip').description('virtual addresses of this host')
  command
    .command('clear')
    .description('take the virtual addresses of a file off this host, unless a running process keeps them')
    .argument('<FILE>', "patroni.yml, the proxy's file or a keepalived.conf")
    .action(clear)
  command.command('guard', { hidden: true }).action(guard)
  return command
}

/** What the guard needs to give a lease back; travels through its pipe. */
export interface GuardStore {
  readonly etcd: EtcdConfig
  readonly namespace: string
  readonly scope: string
}

/** Words that start a guard: this program again. */
export function guardWords(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? '', 'vip', 'guard']
}

/** Time since boot, suspend included: the same for a process and its guard. */
export function kernelMs(): number {
  return uptime() * 1000
}

async function guard(): Promise<void> {
  // A stop is told to the whole group: the guard goes when its parent has gone, which the pipe tells.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {})
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const log = openLog({ type: 'plain', level: 'info', fd: 2 })
  // Before the first word: loading holds the event loop up for seconds on a busy host, and from then on nothing may.
  const [{ createEtcdDcs }, { etcdOptions }] = await Promise.all([
    import('../dcs/etcd/etcd.ts'),
    import('./etcd-options.ts'),
  ])
  await runGuard({
    clock: realClock,
    input: process.stdin,
    output: process.stdout,
    kernelMs,
    log: line => log.warning(`vip guard: ${line}`),
    release: async (orders: GuardOrders, leaseId) => {
      if (orders.store === undefined || orders.store === null || leaseId === undefined) return
      const { etcd, namespace, scope } = orders.store as GuardStore
      const options = await etcdOptions({ etcd, namespace, logger: log })
      const dcs = createEtcdDcs({ ...options, scope })
      await dcs.revokeLease(BigInt(leaseId), Deadline.in(realClock, RELEASE_MS))
      log.info('vip guard: gave the lease back, so that another host takes over')
    },
  })
  process.exit(0)
}

async function clear(file: string): Promise<void> {
  const { readVipFile } = await import('./vip-files.ts')
  const { vips, scope = 'unknown' } = await readVipFile(file)
  const ours = vips.filter(({ driver }) => driver !== 'none')
  if (ours.length === 0) return
  const onInterfaces = ours.filter(({ driver }) => driver !== 'command').flatMap(vip => vip.addresses)
  if (onInterfaces.length > 0) await refuseWithoutCapabilities()
  const names = ours.flatMap(({ addresses }) => lockNames(addresses))
  const lock = await lockAddresses(realClock, names, Deadline.in(realClock, LOCK_MS))
  if (lock === undefined)
    throw new UserError(`${names.join(', ')}: a running process keeps them: nothing was removed`)
  try {
    const { removed, failed } = removeAddresses(onInterfaces)
    for (const line of removed) process.stdout.write(`${line}\n`)
    for (const vip of ours) if (vip.driver === 'command') await runRemoval(vip, scope)
    if (failed.length > 0) throw new UserError(failed.join('\n'))
  } finally {
    lock.release()
  }
}

/** Whether the address is here only the command knows: it is run in any case. */
async function runRemoval(vip: CommandVipConfig, scope: string): Promise<void> {
  const { del } = keeperCommands(vip, scope)
  const [program = '', ...args] = del
  const env = { ...process.env, ...commandEnvironment(vip) }
  const result = await runChild(program, args, { by: Deadline.in(realClock, vip.timeoutMs), env })
  const failure = failureOf(`${vip.name}: del (${program})`, result)
  if (failure !== undefined) throw new UserError(`${failure}: the address may still be here`)
  process.stdout.write(`ran ${del.join(' ')}\n`)
}
