// What holds for a listener with its sessions in one thread holds with two: the same tests once more, and the torture.

import test from 'node:test'

// Read when the rig is loaded.
process.env['PGHERD_TEST_RELAY'] = 'threads'
await import('./proxy-listener.test.ts')
await import('./proxy-limits.test.ts')
await import('./proxy-servers.test.ts')
const { threadsFor } = await import('./proxy-threads-rig.ts')
const { endsWhileStalled } = await import('./proxy-threads-stall.ts')
const { torture } = await import('./proxy-torture.ts')

test('in threads, sessions of all kinds get their own bytes and no others, and leave no memory behind', async t => {
  const { threads } = await threadsFor(t)
  // Clients, servers, the control thread and the workers share the processors: a session takes longer than in one thread.
  await torture(t, threads, { sessions: 3_000 }, 800)
})

test('a control thread in a busy loop of 10 s: forwarding stops by itself when the evidence ends', async t => {
  const { threads } = await threadsFor(t)
  await endsWhileStalled(t, threads, 10_000)
})
