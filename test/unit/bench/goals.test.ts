import assert from 'node:assert/strict'
import test from 'node:test'
import { checkGoals, GOALS, printGoals } from '../../../bench/goals.ts'
import type { Sample } from '../../../bench/sample.ts'

type Made = Partial<Sample> & Pick<Sample, 'workload' | 'path' | 'round' | 'value'>

const made = (sample: Made): Sample => ({
  p50Us: Number.NaN,
  p95Us: Number.NaN,
  p99Us: Number.NaN,
  routerCpu: Number.NaN,
  machineCpu: Number.NaN,
  ...sample,
})

/** Rounds in which HAProxy always does 100 of these, and the path so many. */
function rounds(workload: string, values: readonly number[], path = 'pgherd, handles'): readonly Sample[] {
  return values.flatMap((value, index) => [
    made({ workload, path: 'haproxy', round: index + 1, value: 100 }),
    made({ workload, path, round: index + 1, value }),
  ])
}

const verdicts = (samples: readonly Sample[]) => checkGoals(samples).map(({ verdict }) => verdict)

test('a goal is reached or not, and the spread of the rounds says how sure that is', () => {
  const select = 'select, 1 clients'
  assert.deepEqual(verdicts(rounds(select, [101, 100, 102])), ['yes'])
  assert.deepEqual(verdicts(rounds(select, [99, 90, 102])), ['yes, within the spread'])
  assert.deepEqual(verdicts(rounds(select, [97, 90, 102])), ['no, within the spread'])
  assert.deepEqual(verdicts(rounds(select, [90, 89, 91])), ['no'])
  assert.deepEqual(verdicts(rounds(select, [98, 98, 98])), ['yes'], 'the limit itself reaches it')
})

test('what must be small is reached from below', () => {
  const cut = 'cut of 5000 sessions'
  assert.deepEqual(verdicts(rounds(cut, [150, 140, 160])), ['yes'])
  assert.deepEqual(verdicts(rounds(cut, [195, 180, 220])), ['yes, within the spread'])
  assert.deepEqual(verdicts(rounds(cut, [210, 190, 230])), ['no, within the spread'])
  assert.deepEqual(verdicts(rounds(cut, [300, 290, 310])), ['no'])
})

test('a slow round of the machine moves no ratio: each is taken within its round', () => {
  const slow = [1, 0.2, 1].flatMap((speed, index) => {
    const of = (path: string, value: number, p99Us: number) =>
      made({
        ...{ workload: 'select, 8 clients', path, round: index + 1 },
        ...{ value: value * speed, p99Us: p99Us / speed, machineCpu: 4 / speed },
      })
    return [of('haproxy', 1000, 500), of('pgherd, handles', 1100, 600)]
  })
  const [tps, p99, cpu] = checkGoals(slow)
  assert.deepEqual([tps?.value.toFixed(3), tps?.spread.toFixed(3), tps?.verdict], ['1.100', '0.000', 'yes'])
  assert.deepEqual([p99?.value, p99?.verdict], [1.2, 'no'])
  assert.deepEqual([cpu?.value, cpu?.verdict], [1, 'yes'])
})

test('every goal of the data plane is there, with its limit', () => {
  const limits = GOALS.map(({ workload, figure, isAtMost, limit }) => [workload, figure, isAtMost, limit])
  assert.deepEqual(limits, [
    ['select, 1 clients', 'value', false, 0.98],
    ['select, 8 clients', 'value', false, 1],
    ['select, 32 clients', 'value', false, 0.97],
    ['select, 8 clients', 'p99Us', true, 1.05],
    ['select, 1 clients', 'machineCpu', true, 1.1],
    ['select, 8 clients', 'machineCpu', true, 1.1],
    ['select, 32 clients', 'machineCpu', true, 1.1],
    ['bulk down', 'value', false, 0.95],
    ['bulk up', 'value', false, 0.95],
    ['connects, 8 at a time', 'value', false, 0.9],
    ['memory of 2000 idle sessions', 'value', true, 6144],
    ['memory of 9000 idle sessions', 'value', true, 6144],
    ['cut of 5000 sessions', 'value', true, 200],
  ])
})

test('the table has a row for each goal that was measured and a column for each path of ours', () => {
  const text = printGoals([
    ...rounds('bulk up', [90, 100, 91], 'pgherd'),
    ...rounds('bulk up', [99, 98, 100]),
    ...rounds('memory of 9000 idle sessions', [5000]),
    ...rounds('cut of 200 sessions', [5000]),
  ])
  assert.deepEqual(text?.split('\n'), [
    '| goal | pgherd | pgherd, handles |',
    '| --- | --- | --- |',
    '| bulk up >= 0.95 x HAProxy | 0.91 ± 0.05: no, within the spread | 0.99 ± 0.01: yes |',
    '| an idle session of 9000 <= 6144 bytes | - | 5000 ± 0: yes |',
  ])
  assert.equal(printGoals(rounds('echo, 1 sessions', [1])), undefined)
})
