// What both benchmarks begin and end with: the place, the signals, the hosts and the end of all logs after a failure.

import { runMain } from '../scripts/lib/say.js'
import type { Host } from '../src/demo/host.ts'
import { type Layout, LoopbackLayout } from '../src/demo/loopback.ts'
import { mergedTimeline } from '../test/support/timeline.ts'
import { ownPlace, type Place, runInOwnPlace } from './place.ts'

const LOG_LINES = 60

/** Where a benchmark runs, and what tells it to stop. */
export interface Stage {
  readonly layout: Layout
  readonly place: Place
  readonly signal: AbortSignal
}

/**
 * Runs `bench` in a place of its own, in which `script` is started again; every host is removed afterwards. `options` is
 * undefined where help was asked for.
 */
export async function onStage<Options>(
  script: string,
  read: (args: readonly string[]) => Options | undefined,
  help: string,
  bench: (options: Options, stage: Stage) => Promise<void>,
): Promise<void> {
  await runMain(async () => {
    const args = process.argv.slice(2)
    const options = read(args)
    if (options === undefined) {
      process.stdout.write(help)
      return 0
    }
    const place = await ownPlace()
    if (place === undefined) return runInOwnPlace(script, args)
    const stopping = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => stopping.abort(new Error('interrupted')))
    }
    await withHosts(place, stopping.signal, stage => bench(options, stage))
    return 0
  })
}

async function withHosts(
  place: Place,
  signal: AbortSignal,
  bench: (stage: Stage) => Promise<void>,
): Promise<void> {
  const hosts: Host[] = []
  const loopback = new LoopbackLayout(place.data, place.logs)
  const layout: Layout = {
    host: async name => {
      const host = await loopback.host(name)
      hosts.push(host)
      return host
    },
  }
  try {
    await bench({ layout, place, signal })
  } catch (error) {
    // The hosts are removed with their logs.
    if (!signal.aborted) for (const line of (await mergedTimeline(place.logs)).slice(-LOG_LINES)) tell(line)
    throw error
  } finally {
    await Promise.all(hosts.map(host => host.remove()))
  }
}

export function tell(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
