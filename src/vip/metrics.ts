// What is counted of virtual IPs.

import { Counter, Gauge, type Registry } from 'prom-client'
import { VIP_STATES, type VipState } from './driver.ts'

export interface VipMetrics {
  /** `to`: `owner`, or `other` when it ceased to be. */
  changed(vip: string, to: 'owner' | 'other'): void
}

/** Registers them; `states` is asked at each scrape. */
export function createVipMetrics(
  registry: Registry,
  states: () => readonly { readonly name: string; readonly state: VipState }[],
): VipMetrics {
  const changes = new Counter({
    name: 'pgherd_vip_changes_total',
    help: 'Times that this process became the owner of a virtual IP, or ceased to be.',
    labelNames: ['vip', 'to'],
    registers: [registry],
  })
  new Gauge({
    name: 'pgherd_vip_state',
    help: 'State of a virtual IP in this process: 1 for the one that it is in.',
    labelNames: ['vip', 'state'],
    registers: [registry],
    collect() {
      for (const { name, state } of states())
        for (const one of VIP_STATES) this.set({ vip: name, state: one }, one === state ? 1 : 0)
    },
  })
  return { changed: (vip, to) => changes.inc({ vip, to }) }
}
