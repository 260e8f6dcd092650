// Counters of the VRRP instances. Gauges are read from the instances when somebody scrapes.

import { Counter, Gauge, type Registry } from 'prom-client'
import type { Role } from './machine.ts'
import type { Refusal } from './receive.ts'

export interface VrrpMetrics {
  sent(instance: string): void
  sendFailed(instance: string): void
  received(instance: string): void
  refused(instance: string, reason: Refusal): void
  changed(instance: string, role: Role): void
  stalled(instance: string): void
}

export interface InstanceReading {
  readonly instance: string
  readonly isMaster: boolean
  readonly priority: number
}

/** Registers everything. Call once per registry. */
export function createVrrpMetrics(registry: Registry, read: () => readonly InstanceReading[]): VrrpMetrics {
  const registers = [registry]
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name: `pgherd_vrrp_${name}`, help, labelNames: ['instance', ...labelNames], registers })
  const gauge = (name: string, help: string, value: (reading: InstanceReading) => number) =>
    new Gauge({
      name: `pgherd_vrrp_${name}`,
      help,
      labelNames: ['instance'],
      registers,
      collect() {
        this.reset()
        for (const reading of read()) this.set({ instance: reading.instance }, value(reading))
      },
    })
  const sent = counter('adverts_sent_total', 'Adverts sent')
  const failed = counter(
    'send_failures_total',
    'Adverts that the system did not send, to the group or to one of the peers',
  )
  const received = counter('adverts_received_total', 'Adverts of peers that counted')
  const refused = counter('adverts_refused_total', 'Adverts that did not count, by reason', 'reason')
  const changes = counter('changes_total', 'Changes of an instance, by what it became', 'state')
  const stalls = counter('stalls_total', 'Times that a master had stood still for too long and gave up')
  gauge('master', '1 while the instance is master', ({ isMaster }) => (isMaster ? 1 : 0))
  gauge('priority', 'Priority with the weights of all checks', ({ priority }) => priority)
  return {
    sent: instance => sent.inc({ instance }),
    sendFailed: instance => failed.inc({ instance }),
    received: instance => received.inc({ instance }),
    refused: (instance, reason) => refused.inc({ instance, reason }),
    changed: (instance, state) => changes.inc({ instance, state }),
    stalled: instance => stalls.inc({ instance }),
  }
}
