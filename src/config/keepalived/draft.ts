// What is known of a keepalived.conf while its statements are read, and how a keyword changes it.

import type { Remark, Statement, Word } from './tokens.ts'
import type { NotifyCommands, TrackedCheck, TrackedInterface } from './types.ts'

/** Defaults that global_defs gives to all instances. */
export interface GlobalDraft {
  routerName: string | undefined
  version: 2 | 3
  startDelayMs: number
  group4: string
  group6: string
  answersLower: boolean
  answersHigher: boolean
  checksPeer: boolean
}

export interface ScriptDraft {
  readonly name: string
  readonly word: Word
  script: Word | undefined
  /** A vrrp_track_process names a process instead. */
  process: string | undefined
  intervalMs: number
  timeoutMs: number | undefined
  rise: number
  fall: number
  weight: number
  isReversed: boolean
  startsFailed: boolean
}

export interface AddressDraft {
  readonly word: Word
  readonly address: string
  readonly prefixLength: number | undefined
  readonly dev: string | undefined
  readonly label: string | undefined
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export interface InstanceDraft {
  readonly name: string
  readonly word: Word
  interfaceName: string | undefined
  routerId: Word | undefined
  priority: number
  startsAs: 'backup' | 'master'
  version: 2 | 3 | undefined
  advertMs: number | undefined
  advertWord: Word | undefined
  missingAdverts: number
  preempts: boolean
  noPreemptWord: Word | undefined
  preemptDelayMs: number
  authType: string | undefined
  password: string | undefined
  authWord: Word | undefined
  source: string | undefined
  peers: string[] | undefined
  checksPeer: boolean | undefined
  isV6: boolean
  readonly addresses: AddressDraft[]
  readonly excluded: AddressDraft[]
  answersLower: boolean | undefined
  answersHigher: boolean | undefined
  sumsMessageOnly: boolean
  followsOwnLink: boolean
  readonly checks: (Mutable<Omit<TrackedCheck, 'weight'>> & {
    weight: number | undefined
    readonly word: Word
  })[]
  readonly interfaces: TrackedInterface[]
  readonly notify: Mutable<NotifyCommands>
}

export interface FileDraft {
  readonly global: GlobalDraft
  readonly scripts: ScriptDraft[]
  readonly instances: InstanceDraft[]
}

export function newFileDraft(): FileDraft {
  return {
    global: {
      routerName: undefined,
      version: 2,
      startDelayMs: 0,
      group4: '224.0.0.18',
      group6: 'ff02::12',
      answersLower: true,
      answersHigher: false,
      checksPeer: false,
    },
    scripts: [],
    instances: [],
  }
}

export function newScriptDraft(name: string, word: Word): ScriptDraft {
  return {
    name,
    word,
    script: undefined,
    process: undefined,
    intervalMs: 1000,
    timeoutMs: undefined,
    rise: 1,
    fall: 1,
    weight: 0,
    isReversed: false,
    startsFailed: false,
  }
}

export function newInstanceDraft(name: string, word: Word): InstanceDraft {
  return {
    name,
    word,
    interfaceName: undefined,
    routerId: undefined,
    priority: 100,
    startsAs: 'backup',
    version: undefined,
    advertMs: undefined,
    advertWord: undefined,
    missingAdverts: 3,
    preempts: true,
    noPreemptWord: undefined,
    preemptDelayMs: 0,
    authType: undefined,
    password: undefined,
    authWord: undefined,
    source: undefined,
    peers: undefined,
    checksPeer: undefined,
    isV6: false,
    addresses: [],
    excluded: [],
    answersLower: undefined,
    answersHigher: undefined,
    sumsMessageOnly: false,
    followsOwnLink: true,
    checks: [],
    interfaces: [],
    notify: { master: undefined, backup: undefined, fault: undefined, stop: undefined, any: undefined },
  }
}

/** One statement, for the keyword that reads it. */
export interface Reading<T> {
  readonly draft: T
  readonly statement: Statement
  /** The keyword itself. */
  readonly keyword: Word
  /** What follows it. */
  readonly words: readonly Word[]
  readonly block: readonly Statement[]
  remark(severity: Remark['severity'], says: string, at?: Word): void
}

export interface Keyword<T> {
  readonly read?: (reading: Reading<T>) => void
  /** Accepted, and why nothing follows from it. */
  readonly inert?: string
  /** Cannot be done: the file would mean something else than it says. */
  readonly refused?: string
}

export type Keywords<T> = Readonly<Record<string, Keyword<T>>>

/** The word, or a remark that it is missing. */
export function firstWord<T>({ words, keyword, remark }: Reading<T>, expected: string): Word | undefined {
  const [word] = words
  if (word === undefined) remark('error', `expected ${expected}`, keyword)
  return word
}

/** A number within bounds, or a remark and undefined. */
export function readNumber<T>(
  reading: Reading<T>,
  word: Word | undefined,
  bounds: { readonly min: number; readonly max: number; readonly isWhole?: boolean },
): number | undefined {
  const { min, max, isWhole = true } = bounds
  const value = word !== undefined && /^[+-]?\d+(?:\.\d+)?$/.test(word.text) ? Number(word.text) : Number.NaN
  if (value >= min && value <= max && (!isWhole || Number.isInteger(value))) return value
  const kind = isWhole ? 'a whole number' : 'a number'
  reading.remark('error', `expected ${kind} from ${min} to ${max}`, word ?? reading.keyword)
  return undefined
}

/** A keyword with one number. */
export function number<T>(
  set: (draft: T, value: number, word: Word) => void,
  min: number,
  max: number,
  isWhole = true,
): Keyword<T> {
  return {
    read: reading => {
      const [word] = reading.words
      const value = readNumber(reading, word, { min, max, isWhole })
      if (value !== undefined && word !== undefined) set(reading.draft, value, word)
    },
  }
}

/** `keyword`, `keyword on`, `keyword no`... */
export function flag<T>(set: (draft: T, isOn: boolean, word: Word) => void): Keyword<T> {
  return {
    read: ({ draft, words, keyword }) => {
      set(draft, !/^(?:no|off|false|0)$/i.test(words[0]?.text ?? 'on'), keyword)
    },
  }
}
