import test from 'node:test'
import { threeRounds } from './proxy-fuzz.ts'

test('malformed and split first packets and hundreds of sessions leave nothing behind, and no session gets another’s bytes', async t => {
  await threeRounds(t, 200, 20)
})
