// How long the addresses of an instance are away, as its numbers lead to. Pure.

import type { VrrpInstanceConfig } from './types.ts'

/** `VI_1: takeover after a lost host 2.6 to 3.6 s, after an orderly stop 0.6 s`. */
export function tellTakeover(instance: VrrpInstanceConfig): string {
  const { name, version, advertMs, missingAdverts, priority } = instance
  const skewMs = ((256 - priority) / 256) * (version === 2 ? 1000 : advertMs)
  const longest = missingAdverts * advertMs + skewMs
  const span = `${seconds(longest - advertMs)} to ${seconds(longest)} s`
  return `${name}: this host takes over ${span} after the master was lost, ${seconds(skewMs)} s after it was stopped`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 1000 ? 2 : 1)
}
