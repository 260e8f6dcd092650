import test from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { threeRounds } from './proxy-fuzz.ts'

setFlagsFromString('--expose-gc')
Object.assign(globalThis, { gc: runInNewContext('gc') })

test('ten thousand clients in three equal rounds: heap and descriptors of the third are those of the second', async t => {
  await threeRounds(t, 10_000, Number.POSITIVE_INFINITY)
})
