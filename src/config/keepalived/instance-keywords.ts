// The keywords of a vrrp_instance.

import { canonicalAddress } from '../vip/address.ts'
import { splitWords } from './check-command.ts'
import {
  type AddressDraft,
  firstWord,
  flag,
  type InstanceDraft,
  type Keyword,
  type Keywords,
  number,
  type Reading,
} from './draft.ts'
import type { Statement, Word } from './tokens.ts'

type InstanceReading = Reading<InstanceDraft>

const burst: Keyword<InstanceDraft> = {
  inert: 'addresses are announced 5 times at once, 5 times after 5 s and then every minute',
}
const fine: Keyword<InstanceDraft> = {}

function address(set: (draft: InstanceDraft, value: string) => void): Keyword<InstanceDraft> {
  return {
    read: reading => {
      const word = firstWord(reading, 'an address')
      if (word === undefined) return
      const value = canonicalAddress(word.text)?.address
      if (value === undefined) reading.remark('error', 'expected an address', word)
      else set(reading.draft, value)
    },
  }
}

function addresses(pick: (draft: InstanceDraft) => AddressDraft[]): Keyword<InstanceDraft> {
  return {
    read: reading => {
      for (const statement of reading.block) readAddress(reading, statement, pick(reading.draft))
    },
  }
}

/** Words that take a value and change nothing here: `brd`, the scope, lifetimes. */
const WITH_VALUE = ['brd', 'broadcast', 'scope', 'peer', 'preferred_lft', 'valid_lft', 'metric']

/** `192.168.1.2/24 dev eth0 label eth0:1`. */
function readAddress(reading: InstanceReading, { words }: Statement, list: AddressDraft[]): void {
  const [first, ...rest] = words
  if (first === undefined) return
  const [text = '', prefix] = first.text.split('/')
  const canonical = canonicalAddress(text)
  const prefixLength = prefix === undefined ? undefined : Number(prefix)
  const isPrefixFine =
    prefixLength === undefined ||
    (/^\d+$/.test(prefix ?? '') && prefixLength <= (canonical?.family === 4 ? 32 : 128))
  if (canonical === undefined || !isPrefixFine) {
    reading.remark('error', `${first.text}: expected an address such as 10.0.0.210/24`, first)
    return
  }
  let dev: string | undefined
  let label: string | undefined
  for (let at = 0; at < rest.length; at += 1) {
    const word = rest[at] as Word
    const value = rest[at + 1]?.text
    if (word.text === 'dev') dev = value
    else if (word.text === 'label') label = value
    else if (WITH_VALUE.includes(word.text)) {
      const isPlain = word.text === 'brd' || word.text === 'broadcast' || word.text === 'scope'
      if (!isPlain) reading.remark('warning', `${word.text} has no effect`, word)
    } else {
      if (!/^(?:no_track|home|nodad|mngtmpaddr|noprefixroute|use_vmac|-?nodad)$/.test(word.text))
        reading.remark('unknown', `${word.text}: unknown word behind an address`, word)
      continue
    }
    at += 1
  }
  list.push({ word: first, address: canonical.address, prefixLength, dev, label })
}

/** `NAME [weight N] [reverse]` for each line. */
function readTracked(
  reading: InstanceReading,
  add: (name: Word, weight: number | undefined, isReversed: boolean) => void,
): void {
  const inline: readonly Statement[] =
    reading.words.length > 0 ? [{ words: reading.words, block: undefined }] : []
  for (const { words } of [...inline, ...reading.block]) {
    const [name, ...rest] = words
    if (name === undefined) continue
    const at = rest.findIndex(({ text }) => text === 'weight')
    const text = at < 0 ? undefined : rest[at + 1]?.text
    const weight = text === undefined ? undefined : Number(text)
    if (weight !== undefined && !(Number.isInteger(weight) && Math.abs(weight) <= 253)) {
      reading.remark('error', 'weight: expected a whole number from -253 to 253', rest[at])
    } else
      add(
        name,
        weight,
        rest.some(word => word.text === 'reverse' || word.text === 'reversed'),
      )
  }
}

function notify(set: (draft: InstanceDraft, words: readonly string[]) => void): Keyword<InstanceDraft> {
  return {
    read: reading => {
      const word = firstWord(reading, 'a command')
      if (word === undefined) return
      const words = word.isQuoted ? splitWords(word.text) : reading.words.map(one => one.text)
      if (words === undefined || words.length === 0) reading.remark('error', 'a quote is not closed', word)
      else set(reading.draft, words)
    },
  }
}

function readAuthentication({ draft, block, keyword, remark }: InstanceReading): void {
  draft.authWord = keyword
  for (const { words } of block) {
    const [name, value] = words
    if (name?.text === 'auth_type') draft.authType = value?.text
    else if (name?.text === 'auth_pass') draft.password = value?.text
    else if (name !== undefined) remark('unknown', `${name.text}: unknown in authentication`, name)
  }
}

const noVmac = 'the interface’s own hardware address is used: neighbours learn the change by announcements'

export const instanceKeywords: Keywords<InstanceDraft> = {
  state: {
    read: reading => {
      const word = firstWord(reading, 'MASTER or BACKUP')
      if (word === undefined) return
      if (!/^(?:MASTER|BACKUP)$/i.test(word.text)) reading.remark('error', 'expected MASTER or BACKUP', word)
      else reading.draft.startsAs = /^MASTER$/i.test(word.text) ? 'master' : 'backup'
    },
  },
  interface: {
    read: reading => {
      reading.draft.interfaceName = firstWord(reading, 'the name of an interface')?.text
    },
  },
  virtual_router_id: number((draft, _value, word) => void Object.assign(draft, { routerId: word }), 1, 255),
  priority: number((draft, value) => void Object.assign(draft, { priority: value }), 1, 255),
  version: number((draft, value) => void Object.assign(draft, { version: value }), 2, 3),
  advert_int: number(
    (draft, value, word) => {
      draft.advertMs = Math.round(value * 1000)
      draft.advertWord = word
    },
    0.01,
    255,
    false,
  ),
  down_timer_adverts: number((draft, value) => void Object.assign(draft, { missingAdverts: value }), 1, 100),
  preempt: flag((draft, isOn) => {
    draft.preempts = isOn
  }),
  nopreempt: {
    read: ({ draft, keyword }) => {
      draft.preempts = false
      draft.noPreemptWord = keyword
    },
  },
  preempt_delay: number(
    (draft, value) => {
      draft.preemptDelayMs = value * 1000
    },
    0,
    1000,
    false,
  ),
  authentication: { read: readAuthentication },
  unicast_src_ip: address((draft, value) => {
    draft.source = value
  }),
  mcast_src_ip: address((draft, value) => {
    draft.source = value
  }),
  unicast_peer: {
    read: reading => {
      const peers = reading.draft.peers ?? []
      for (const { words } of reading.block) {
        const [word] = words
        if (word === undefined) continue
        const peer = canonicalAddress(word.text)?.address
        if (peer === undefined) reading.remark('error', `${word.text}: expected an address`, word)
        else peers.push(peer)
      }
      reading.draft.peers = peers
    },
  },
  check_unicast_src: flag((draft, isOn) => {
    draft.checksPeer = isOn
  }),
  virtual_ipaddress: addresses(draft => draft.addresses),
  virtual_ipaddress_excluded: addresses(draft => draft.excluded),
  track_script: {
    read: reading => {
      readTracked(reading, (word, weight, isReversed) => {
        reading.draft.checks.push({ check: word.text, weight, isReversed, word })
      })
    },
  },
  track_process: {
    read: reading => {
      readTracked(reading, (word, weight, isReversed) => {
        reading.draft.checks.push({ check: word.text, weight, isReversed, word })
      })
    },
  },
  track_interface: {
    read: reading => {
      readTracked(reading, (word, weight, isReversed) => {
        reading.draft.interfaces.push({ interfaceName: word.text, weight: weight ?? 0, isReversed })
      })
    },
  },
  dont_track_primary: {
    read: ({ draft }) => {
      draft.followsOwnLink = false
    },
  },
  notify: notify((draft, words) => void Object.assign(draft.notify, { any: words })),
  notify_master: notify((draft, words) => void Object.assign(draft.notify, { master: words })),
  notify_backup: notify((draft, words) => void Object.assign(draft.notify, { backup: words })),
  notify_fault: notify((draft, words) => void Object.assign(draft.notify, { fault: words })),
  notify_stop: notify((draft, words) => void Object.assign(draft.notify, { stop: words })),
  notify_deleted: { inert: 'an instance does not go while the process runs' },
  notify_master_rx_lower_pri: { refused: 'that a lower master was heard is an event in the log' },
  lower_prio_no_advert: flag((draft, isOn) => {
    draft.answersLower = !isOn
  }),
  higher_prio_send_advert: flag((draft, isOn) => {
    draft.answersHigher = isOn
  }),
  v3_checksum_as_v2: flag((draft, isOn) => {
    draft.sumsMessageOnly = isOn
  }),
  old_unicast_checksum: { refused: 'it speaks to keepalived before 2.0 alone' },
  native_ipv6: {
    read: ({ draft }) => {
      draft.isV6 = true
    },
  },
  garp_master_delay: burst,
  garp_master_repeat: burst,
  garp_master_refresh: burst,
  garp_master_refresh_repeat: burst,
  garp_lower_prio_delay: burst,
  garp_lower_prio_repeat: burst,
  garp_interval: burst,
  gna_interval: burst,
  use_vmac: { inert: noVmac },
  vmac_xmit_base: { inert: noVmac },
  strict_mode: { inert: 'the stricter rules of the RFC are not applied' },
  accept: fine,
  no_accept: { refused: 'the addresses always take connections' },
  skip_check_adv_addr: fine,
  smtp_alert: { inert: 'no mail is sent: events are in the log and on the status port' },
  debug: fine,
  lvs_sync_daemon_interface: { inert: 'there is no LVS: pgherd proxy relays itself' },
  promote_secondaries: fine,
  linkbeat_use_polling: fine,
  linkbeat_interfaces: fine,
  virtual_routes: { refused: 'routes are not moved: use notify_master and notify_backup' },
  virtual_rules: { refused: 'rules are not moved: use notify_master and notify_backup' },
  track_file: { refused: 'use track_script with a script that reads the file' },
  track_bfd: { refused: 'BFD is not spoken: use advert_int 0.1 with version 3' },
  track_src_ip: fine,
}
