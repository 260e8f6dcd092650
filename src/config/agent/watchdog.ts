// The watchdog section of one node's file, and how its operator's scripts are run.

import type { Json } from '../../cluster/json.ts'
import { watchdogKeys } from './known.ts'
import type { Section } from './section.ts'
import type { ScriptConfig, WatchdogConfig } from './types.ts'
import { readSeconds } from './units.ts'

const DEVICE = '/dev/watchdog'
const SAFETY_MARGIN_SECONDS = 5
/** Longer would be no limit. */
const SCRIPT_SECONDS_MAX = 86_400

const MODES: Readonly<Record<string, WatchdogConfig['mode']>> = {
  off: 'off',
  false: 'off',
  disable: 'off',
  disabled: 'off',
  auto: 'automatic',
  automatic: 'automatic',
  true: 'automatic',
  require: 'required',
  required: 'required',
}

/** Reads `watchdog`. A mode that is no mode is refused: a typing error must not leave a primary unwatched. */
export function readWatchdog(top: Section): WatchdogConfig {
  const section = top.section('watchdog')
  section.warnUnknown(watchdogKeys)
  const mode = section.stands('mode') ? MODES[(section.text('mode') ?? '').toLowerCase()] : 'automatic'
  if (mode === undefined) throw section.wrong('mode', 'off, automatic or required')
  const safetyMarginSeconds = section.integer('safety_margin') ?? SAFETY_MARGIN_SECONDS
  if (safetyMarginSeconds < -1) throw section.wrong('safety_margin', 'seconds, or -1 for half of the lease')
  const driver = section.text('driver') ?? 'default'
  if (driver !== 'default' && driver !== 'testing') throw section.wrong('driver', 'default or testing')
  return { mode, device: section.text('device') ?? DEVICE, safetyMarginSeconds, driver }
}

/** Reads `pgherd` of one node's file. */
export function readScripts(top: Section): ScriptConfig {
  const section = top.section('pgherd')
  const primaryRole = section.text('callback_role') ?? 'primary'
  if (primaryRole !== 'primary' && primaryRole !== 'master')
    throw section.wrong('callback_role', 'primary or master')
  return {
    primaryRole,
    callbackTimeoutMs: timeoutMs(section, 'callback_timeout'),
    prePromoteTimeoutMs: timeoutMs(section, 'pre_promote_timeout'),
    beforeStopTimeoutMs: timeoutMs(section, 'before_stop_timeout'),
  }
}

function timeoutMs(section: Section, key: string): number | undefined {
  const value: Json | undefined = section.values[key]
  if (value === undefined || value === null) return undefined
  const seconds = readSeconds(value)
  if (seconds === undefined || seconds <= 0 || seconds > SCRIPT_SECONDS_MAX)
    throw section.wrong(key, 'a time as 30s or 5min, at most a day')
  return seconds * 1000
}
