// A cluster whose data directories lie on disks of their own, which tests then fill, stop or take away.

import { Cluster, type ClusterOptions } from '../../src/demo/cluster.ts'
import type { Host } from '../../src/demo/host.ts'
import { LoopbackLayout } from '../../src/demo/loopback.ts'
import type { Member } from '../../src/demo/member.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { quickBinDir } from './tools.ts'
import { makeWorkplace, type Scope } from './workplace.ts'

interface Disk {
  readonly path: string
  /** Ends everything on the host, then takes the disk away. */
  remove(): Promise<void>
}

export interface DiskCluster<D extends Disk> {
  readonly cluster: Cluster
  /** The disk below a member's data directory. */
  disk(member: Member): D
}

/** Starts a cluster of two; `mount` makes the disk of a host. */
export async function startOnDisks<D extends Disk>(
  scope: Scope,
  mount: (host: Host) => Promise<D>,
  options: Partial<ClusterOptions> = {},
): Promise<DiskCluster<D>> {
  const work = await makeWorkplace(scope)
  const layout = new LoopbackLayout(work.data, work.logs)
  const disks = new Map<string, D>()
  const cluster = await Cluster.create({
    layout,
    program: work.program,
    binDir: await quickBinDir(),
    etcd: 1,
    members: 2,
    ...options,
    dataDir: async host => {
      const disk = await mount(host)
      disks.set(host.name, disk)
      return `${disk.path}/data`
    },
  })
  work.defer(() => cluster.remove())
  // What was built last goes first: a host's directory cannot be removed while a disk is mounted in it.
  work.defer(async () => {
    for (const disk of disks.values()) await disk.remove()
  })
  await cluster.start()
  return {
    cluster,
    disk: ({ name }) => {
      const disk = disks.get(name)
      if (disk === undefined) throw new Error(`${name} has no disk of its own`)
      return disk
    },
  }
}

/** Waits until the member has told an event of this kind, with this text. */
export async function untilTold(
  member: Member,
  kind: string,
  says: RegExp,
  withinMs = 30_000,
): Promise<void> {
  await waitFor(`the event ${kind} of ${member.name}`, { withinMs }, async note => {
    const { body } = await member.rest('/pgherd/events?count=50')
    note(body)
    const events = JSON.parse(body) as readonly { readonly kind: string; readonly says: string }[]
    return events.some(event => event.kind === kind && says.test(event.says))
  })
}

/** What `/patroni` says below `pgherd`. */
export async function ownWords(member: Member): Promise<Readonly<Record<string, unknown>>> {
  return (await member.status())['pgherd'] as Readonly<Record<string, unknown>>
}
