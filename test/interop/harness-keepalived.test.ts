// The harness's keepalived: two hosts, one address, and the network between them cut.

import test, { after } from 'node:test'
import type { Host } from '../../src/demo/host.ts'
import { waitFor } from '../../src/demo/wait.ts'
import { keepalivedOn } from '../support/keepalived.ts'
import { Network } from '../support/netns.ts'
import { makeWorkplace } from '../support/workplace.ts'

const ADDRESS = '10.77.0.210'
const work = await makeWorkplace({ after })
const network = await Network.create(work)
const [a, b] = [await network.host('a'), await network.host('b')]
const common = { address: ADDRESS, routerId: 210, interfaceName: 'eth0' }
const onA = await keepalivedOn(a, { ...common, priority: 110, check: '/bin/true' })
const onB = await keepalivedOn(b, { ...common, priority: 100, check: '/bin/true' })

test('keepalived gives the address to the host of higher priority, and to the other one when that dies', async () => {
  await onA.start()
  await onB.start()
  await holders([a])
  await onA.kill()
  await a.kill()
  await holders([b], [a])
})

test('with the network cut, both hosts hold the address until it is healed', async () => {
  await onA.start()
  await holders([a])
  await network.cut(a, b)
  await holders([a, b])
  await network.heal()
  await holders([a])
})

/** Waits until exactly these hosts hold the address. A killed keepalived leaves it behind: `except` are not looked at. */
async function holders(wanted: readonly Host[], except: readonly Host[] = []): Promise<void> {
  const hosts = [a, b].filter(host => !except.includes(host))
  const names = wanted.map(host => host.name).join(', ')
  await waitFor(`${ADDRESS} on ${names}`, { withinMs: 15_000, everyMs: 100 }, async note => {
    const texts = await Promise.all(hosts.map(host => network.inside(host, ['ip', '-4', '-br', 'address'])))
    const holding = hosts.filter((_host, index) => texts[index]?.includes(`${ADDRESS}/`) === true)
    note(holding.map(host => host.name).join(', ') || 'nobody')
    return holding.map(host => host.name).join(', ') === names
  })
}
