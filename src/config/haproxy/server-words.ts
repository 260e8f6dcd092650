// The parameters of `server` and `default-server` lines.

import type { Reading, ServerDraft } from './draft.ts'
import { nearestName } from './nearest.ts'
import { readAddress, readDurationMs, readWhole } from './values.ts'

type Take = (draft: ServerDraft, value: string) => boolean

interface Parameter {
  /** How many words follow. */
  readonly values: 0 | 1
  readonly take?: Take
  /** Accepted, and this is why nothing follows from it; undefined: what it asks for is always so. */
  readonly inert?: string
  /** Cannot be done: the file would mean something else than it says. */
  readonly refused?: string
}

function flag(set: (draft: ServerDraft) => void): Parameter {
  return {
    values: 0,
    take: draft => {
      set(draft)
      return true
    },
  }
}

function whole(from: number, to: number, set: (draft: ServerDraft, value: number) => void): Parameter {
  return {
    values: 1,
    take: (draft, text) => {
      const value = readWhole(text)
      if (value === undefined || value < from || value > to) return false
      set(draft, value)
      return true
    },
  }
}

function duration(set: (draft: ServerDraft, valueMs: number) => void): Parameter {
  return {
    values: 1,
    take: (draft, text) => {
      const valueMs = readDurationMs(text)
      if (valueMs === undefined || valueMs === 0) return false
      set(draft, valueMs)
      return true
    },
  }
}

function word(set: (draft: ServerDraft, value: string) => unknown): Parameter {
  return { values: 1, take: (draft, text) => set(draft, text) !== false }
}

function oneOf(words: readonly string[], set: (draft: ServerDraft, value: string) => void): Parameter {
  return word((draft, value) => {
    if (!words.includes(value)) return false
    set(draft, value)
    return true
  })
}

function inert(values: 0 | 1, why: string): Parameter {
  return { values, inert: why }
}

const always: Parameter = { values: 1 }
const alwaysFlag: Parameter = { values: 0 }
const noAgent = 'agent checks are not made; the check and the members’ own answers decide'
const noTls = 'TLS to servers is not made here: it passes through from the client untouched'

export const serverParameters: Readonly<Record<string, Parameter>> = {
  check: flag(draft => {
    draft.check = true
  }),
  'no-check': flag(draft => {
    draft.check = false
  }),
  port: whole(1, 65_535, (draft, value) => {
    draft.port = value
  }),
  addr: word((draft, value) => {
    const host = readAddress(value)?.host
    if (host === undefined) return false
    draft.addr = host
    return true
  }),
  inter: duration((draft, value) => {
    draft.interMs = value
  }),
  fastinter: duration((draft, value) => {
    draft.fastinterMs = value
  }),
  downinter: duration((draft, value) => {
    draft.downinterMs = value
  }),
  rise: whole(1, 1000, (draft, value) => {
    draft.rise = value
  }),
  fall: whole(1, 1000, (draft, value) => {
    draft.fall = value
  }),
  weight: whole(0, 256, (draft, value) => {
    draft.weight = value
  }),
  maxconn: whole(0, 10_000_000, (draft, value) => {
    draft.maxconn = value
  }),
  maxqueue: whole(0, 10_000_000, (draft, value) => {
    draft.maxqueue = value
  }),
  slowstart: duration((draft, value) => {
    draft.slowstartMs = value
  }),
  backup: flag(draft => {
    draft.backup = true
  }),
  'no-backup': flag(draft => {
    draft.backup = false
  }),
  disabled: flag(draft => {
    draft.disabled = true
  }),
  enabled: flag(draft => {
    draft.disabled = false
  }),
  'on-marked-down': oneOf(['shutdown-sessions'], draft => {
    draft.cutsWhenDown = true
  }),
  'on-marked-up': oneOf(['shutdown-backup-sessions'], draft => {
    draft.cutsBackupsWhenUp = true
  }),
  'send-proxy': flag(draft => {
    draft.sendProxy = 'v1'
  }),
  'send-proxy-v2': flag(draft => {
    draft.sendProxy = 'v2'
  }),
  'no-send-proxy': flag(draft => {
    draft.sendProxy = undefined
  }),
  'no-send-proxy-v2': flag(draft => {
    draft.sendProxy = undefined
  }),
  'check-send-proxy': flag(draft => {
    draft.checkSendProxy = true
  }),
  source: word((draft, value) => {
    const host = readAddress(value)?.host
    if (host === undefined) return false
    draft.source = host
    return true
  }),
  'check-ssl': flag(draft => {
    draft.checkSsl = true
  }),
  'no-check-ssl': flag(draft => {
    draft.checkSsl = false
  }),
  verify: oneOf(['none', 'required'], (draft, value) => {
    draft.verify = value === 'required'
  }),
  'ca-file': word((draft, value) => {
    draft.caFile = value
  }),
  crt: word((draft, value) => {
    draft.crtFile = value
  }),
  'check-sni': word((draft, value) => {
    draft.serverName = value
  }),
  verifyhost: word((draft, value) => {
    draft.verifyHost = value
  }),
  track: word((draft, value) => {
    draft.track = value
  }),
  // Evidence from real connections is always used.
  observe: word((_draft, value) => ['layer4', 'layer7'].includes(value)),
  'error-limit': inert(1, 'each connection that a server refuses counts at once, as a failed check'),
  'on-error': inert(
    1,
    'each connection that a server refuses counts as a failed check, and the next comes at once',
  ),
  'tcp-ut': duration((draft, valueMs) => {
    draft.unackedMs = valueMs
  }),
  'agent-check': inert(0, noAgent),
  'no-agent-check': alwaysFlag,
  'agent-port': inert(1, noAgent),
  'agent-inter': inert(1, noAgent),
  'agent-addr': inert(1, noAgent),
  'agent-send': inert(1, noAgent),
  minconn: inert(1, 'the limit of a server does not move with the load: maxconn counts'),
  cookie: inert(1, 'cookies belong to HTTP'),
  id: always,
  'init-addr': inert(1, 'a name is looked up for each connection'),
  resolvers: inert(1, 'names are looked up by the system'),
  'resolve-prefer': inert(1, 'names are looked up by the system'),
  'resolve-opts': inert(1, 'names are looked up by the system'),
  'check-proto': always,
  'init-state': inert(1, 'a server takes nothing before its first good check'),
  ssl: { values: 0, refused: noTls },
  sni: { values: 1, refused: noTls },
  alpn: { values: 1, refused: noTls },
  ciphers: { values: 1, refused: noTls },
  usesrc: { values: 1, refused: 'connections with the client’s own address need a transparent proxy' },
}

/** Reads parameters into `draft`; what is wrong becomes a remark. */
export function readServerWords(reading: Reading, words: readonly string[], draft: ServerDraft): void {
  for (let at = 0; at < words.length; at += 1) {
    const name = words[at] ?? ''
    const parameter = serverParameters[name]
    if (parameter === undefined) {
      tellUnknown(reading, name)
      return
    }
    const value = words[at + 1]
    at += parameter.values
    if (parameter.values === 1 && value === undefined) {
      reading.remark({ about: `server ${name}`, says: 'a value is missing', severity: 'error' })
      return
    }
    takeParameter(reading, name, parameter, value ?? '', draft)
  }
}

function takeParameter(
  { remark }: Reading,
  name: string,
  parameter: Parameter,
  value: string,
  draft: ServerDraft,
): void {
  const about = `server ${name}`
  if (parameter.refused !== undefined) remark({ about, says: parameter.refused, severity: 'unknown' })
  if (parameter.inert !== undefined)
    remark({ about, says: `has no effect: ${parameter.inert}`, severity: 'warning' })
  if (parameter.take?.(draft, value) === false)
    remark({ about, says: `${value} is not a value that it can have`, severity: 'error' })
}

function tellUnknown({ remark }: Reading, name: string): void {
  const near = nearestName(name, Object.keys(serverParameters))
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  remark({ about: `server ${name}`, says: `unknown parameter${hint}`, severity: 'unknown' })
}
