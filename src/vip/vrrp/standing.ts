// What keeps an instance from taking part, and what its priority is made of: its links and its checks. Pure.

import type { VrrpInstanceConfig } from '../../config/keepalived/types.ts'
import type { LinkState } from './link.ts'
import { type CheckState, faultOf, type Weighed } from './tracking.ts'

/** What is known of links and checks now; undefined before the first news of a link. */
export interface Sources {
  readonly linkOf: (interfaceName: string) => LinkState | undefined
  readonly checkOf: (name: string) => CheckState
}

/** `isForNow`: it will be known in a moment, and nothing has to be said before. */
export interface Hindrance {
  readonly why: string
  readonly isForNow: boolean
}

/** The checks and links that count, with their weights. */
export function weighedOf(config: VrrpInstanceConfig, { linkOf, checkOf }: Sources): readonly Weighed[] {
  const checks = config.trackedChecks.map(({ check, weight, isReversed }) => {
    return { name: check, weight, isReversed, state: checkOf(check) }
  })
  const links = config.trackedInterfaces
    .filter(({ weight }) => weight !== 0)
    .map(({ interfaceName, weight, isReversed }) => {
      const link = linkOf(interfaceName)
      const state: CheckState = link === undefined ? 'unknown' : link === 'up' ? 'good' : 'bad'
      return { name: interfaceName, weight, isReversed, state }
    })
  return [...checks, ...links]
}

/** The first link or check of weight 0 that is not as it must be. */
export function hindranceOf(config: VrrpInstanceConfig, sources: Sources): Hindrance | undefined {
  const own = config.followsOwnLink ? [config.interfaceName] : []
  const links = config.trackedInterfaces.filter(({ weight }) => weight === 0)
  for (const name of [...own, ...links.map(({ interfaceName }) => interfaceName)]) {
    const state = sources.linkOf(name)
    if (state === undefined) return { why: `the state of ${name} is not known yet`, isForNow: true }
    if (state !== 'up') return { why: `${name} is ${state}`, isForNow: false }
  }
  const why = faultOf(weighedOf(config, sources))
  return why === undefined ? undefined : { why, isForNow: why.includes('waited') }
}
