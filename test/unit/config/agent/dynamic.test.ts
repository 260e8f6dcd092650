import assert from 'node:assert/strict'
import test from 'node:test'
import type { JsonObject } from '../../../../src/cluster/json.ts'
import { dynamicConfig } from '../../../../src/config/agent/dynamic.ts'

test('without a config key all defaults hold', () => {
  const config = dynamicConfig(undefined, true)
  assert.deepEqual(
    [config.ttlSeconds, config.loopWaitSeconds, config.retryTimeoutSeconds, config.maximumLagOnFailoverBytes],
    [30, 10, 10, 1_048_576n],
  )
  assert.deepEqual(
    [config.primaryStartTimeoutSeconds, config.primaryStopTimeoutSeconds, config.memberSlotsTtlSeconds],
    [300, 0, 1800],
  )
  assert.deepEqual(
    [config.useSlots, config.isPaused, config.checkTimeline, config.shortTtl],
    [true, false, true, false],
  )
  assert.deepEqual(config.warnings, [])
})

/** ttl, loop_wait, retry_timeout as given and as used, and how many warnings. */
const times: readonly (readonly [JsonObject, readonly [number, number, number], number])[] = [
  [{ ttl: 30, loop_wait: 10, retry_timeout: 10 }, [30, 10, 10], 0],
  [{ ttl: '25', loop_wait: '5', retry_timeout: '10' }, [25, 5, 10], 0],
  [{ ttl: 20 }, [20, 1, 9], 1],
  [{ ttl: 10, loop_wait: 2, retry_timeout: 3 }, [20, 2, 3], 1],
  [{ loop_wait: 0, retry_timeout: 1 }, [30, 1, 3], 2],
  [{ ttl: 30, loop_wait: 20, retry_timeout: 10 }, [30, 10, 10], 1],
  [{ ttl: 30, loop_wait: 10, retry_timeout: 15 }, [30, 1, 14], 1],
  [{ ttl: 30, loop_wait: 10, retry_timeout: 864000000 }, [30, 1, 14], 1],
  [{ ttl: 'soon' }, [30, 10, 10], 1],
]
for (const [raw, want, warnings] of times) {
  test(`${JSON.stringify(raw)} means ttl, loop_wait, retry_timeout ${want.join(', ')}`, () => {
    const config = dynamicConfig(raw, false)
    assert.deepEqual([config.ttlSeconds, config.loopWaitSeconds, config.retryTimeoutSeconds], want)
    assert.equal(config.warnings.length, warnings)
  })
}

test('for all times the leader may miss one turn and retry twice within its lease', () => {
  for (let ttl = 1; ttl < 60; ttl++) {
    for (let loopWait = 0; loopWait < 40; loopWait += 3) {
      for (let retryTimeout = 0; retryTimeout < 40; retryTimeout += 3) {
        const raw = { ttl, loop_wait: loopWait, retry_timeout: retryTimeout, pgherd: { short_ttl: true } }
        const config = dynamicConfig(raw, true)
        const sum = config.loopWaitSeconds + 2 * config.retryTimeoutSeconds
        assert.ok(sum <= config.ttlSeconds, `${JSON.stringify(raw)}: ${sum}`)
        assert.ok(config.loopWaitSeconds >= 1 && config.retryTimeoutSeconds >= 1)
      }
    }
  }
})

test('a huge retry_timeout is told that failsafe_mode is what it means', () => {
  const [warning] = dynamicConfig({ retry_timeout: 864000000 }, true).warnings
  assert.match(warning ?? '', /failsafe_mode: true is what is meant/)
})

test('short leases count only while every member runs pgherd', () => {
  const raw = { ttl: 5, loop_wait: 1, retry_timeout: 1, pgherd: { short_ttl: true } }
  const short = dynamicConfig(raw, true)
  assert.deepEqual(
    [short.ttlSeconds, short.loopWaitSeconds, short.retryTimeoutSeconds, short.shortTtl],
    [5, 1, 1, true],
  )
  const mixed = dynamicConfig(raw, false)
  assert.deepEqual([mixed.ttlSeconds, mixed.retryTimeoutSeconds, mixed.shortTtl], [20, 3, false])
  assert.match(mixed.warnings.join('\n'), /pgherd: short_ttl is refused while a member without pgherd/)
})

test('the time that a planned change gives to transactions is 5 s unless the configuration says so', () => {
  const seconds = (drain: unknown) => {
    const { drainTimeoutSeconds, warnings } = dynamicConfig(
      { pgherd: { drain_timeout: drain } } as JsonObject,
      true,
    )
    return [drainTimeoutSeconds, warnings.length]
  }
  assert.equal(dynamicConfig({}, true).drainTimeoutSeconds, 5)
  assert.deepEqual(seconds(12), [12, 0])
  assert.deepEqual(seconds('1min'), [60, 0])
  assert.deepEqual(seconds(0), [0, 0])
  for (const wrong of ['soon', -1, '1h']) assert.deepEqual(seconds(wrong), [5, 1])
  const [warning] = dynamicConfig({ pgherd: { drain_timeout: '1h' } }, true).warnings
  assert.match(warning ?? '', /^pgherd: drain_timeout: expected a duration from 0 to 600 s, .*: 5s is used$/)
})

test('a server hangs that has answered no new connection for two leases, and for 60 s at least', () => {
  const seconds = (hungAfter: unknown) => {
    const { hungAfterSeconds, warnings } = dynamicConfig(
      { pgherd: { hung_after: hungAfter } } as JsonObject,
      true,
    )
    return [hungAfterSeconds, warnings.length]
  }
  assert.equal(dynamicConfig({}, true).hungAfterSeconds, 60)
  assert.equal(dynamicConfig({ ttl: 5, pgherd: { short_ttl: true } }, true).hungAfterSeconds, 60)
  assert.deepEqual(seconds('1min'), [60, 0])
  assert.deepEqual(seconds(5), [5, 0])
  for (const off of [0, false, 'off']) assert.deepEqual(seconds(off), [0, 0])
  for (const wrong of ['soon', 4, '2h', true]) assert.deepEqual(seconds(wrong), [60, 1])
})

test('old names count only while the new name is absent', () => {
  assert.equal(dynamicConfig({ master_start_timeout: 7 }, true).primaryStartTimeoutSeconds, 7)
  assert.equal(
    dynamicConfig({ master_start_timeout: 7, primary_start_timeout: 9 }, true).primaryStartTimeoutSeconds,
    9,
  )
})

test('durations may carry units', () => {
  assert.equal(dynamicConfig({ member_slots_ttl: '30min' }, true).memberSlotsTtlSeconds, 1800)
  assert.equal(dynamicConfig({ member_slots_ttl: '2h' }, true).memberSlotsTtlSeconds, 7200)
  assert.equal(dynamicConfig({ member_slots_ttl: 'soon' }, true).memberSlotsTtlSeconds, 1800)
})

test('switches that are off say nothing', () => {
  const off = dynamicConfig({ synchronous_mode: false, failsafe_mode: 'off', standby_cluster: null }, true)
  assert.deepEqual(off.warnings, [])
})

const modes: readonly [string, object, string][] = [
  ['absent', {}, 'off'],
  ['true', { synchronous_mode: true }, 'on'],
  ['the text on', { synchronous_mode: 'on' }, 'on'],
  ['off', { synchronous_mode: 'off' }, 'off'],
  ['Quorum in any case', { synchronous_mode: 'Quorum' }, 'quorum'],
  ['a typing error', { synchronous_mode: 'quorom' }, 'off'],
  ['on in a standby cluster', { synchronous_mode: true, standby_cluster: { host: 'a' } }, 'off'],
]

for (const [situation, raw, mode] of modes) {
  test(`synchronous_mode ${situation} is ${mode}`, () => {
    assert.equal(dynamicConfig({ ...raw }, true).synchronousMode, mode)
  })
}

test('maximum_lag_on_syncnode of 0 and below is no limit', () => {
  const limits = [undefined, -1, 0, 1024].map(
    lag =>
      dynamicConfig(lag === undefined ? {} : { maximum_lag_on_syncnode: lag }, true)
        .maximumLagOnSyncnodeBytes,
  )
  assert.deepEqual(limits, [undefined, undefined, undefined, 1024n])
})

test('pause, check_timeline and use_slots are read as booleans of any spelling', () => {
  const config = dynamicConfig({ pause: 'on', check_timeline: 'yes', postgresql: { use_slots: 'off' } }, true)
  assert.deepEqual([config.isPaused, config.checkTimeline, config.useSlots], [true, true, false])
})
