// The leader's position and the slots' positions, as the leader publishes them.

import { asBigint, asText, isObject, type Json, parseJson, printJson } from './json.ts'
import type { Lsn } from './lsn.ts'

export interface Status {
  /** The leader's last written position; undefined when unknown. */
  readonly optime: Lsn | undefined
  readonly slots: Readonly<Record<string, Lsn>>
  readonly retainSlots: readonly string[]
}

export const emptyStatus: Status = { optime: undefined, slots: {}, retainSlots: [] }

/** Reads the `status` key: a JSON object, or the old bare whole number. Fields may be JSON inside text. */
export function parseStatus(value: string): Status {
  const parsed = parseJson(value)
  if (!isObject(parsed)) return { ...emptyStatus, optime: asBigint(parsed) }
  return {
    optime: asBigint(parsed['optime']),
    slots: parseSlots(unwrap(parsed['slots'])),
    retainSlots: parseNames(unwrap(parsed['retain_slots'])),
  }
}

/** Prints the `status` key; empty parts are left out as others do. */
export function printStatus(status: Status): string {
  const fields: Record<string, Json> = { optime: status.optime ?? 0n }
  if (Object.keys(status.slots).length > 0) fields['slots'] = status.slots
  if (status.retainSlots.length > 0) fields['retain_slots'] = [...status.retainSlots].sort()
  return printJson(fields)
}

function unwrap(value: Json | undefined): Json | undefined {
  const text = asText(value)
  return text === undefined ? value : parseJson(text)
}

function parseSlots(value: Json | undefined): Readonly<Record<string, Lsn>> {
  if (!isObject(value)) return {}
  const slots: Record<string, Lsn> = {}
  for (const [name, position] of Object.entries(value)) {
    const lsn = asBigint(position)
    if (lsn !== undefined) slots[name] = lsn
  }
  return slots
}

function parseNames(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter(name => typeof name === 'string') : []
}
