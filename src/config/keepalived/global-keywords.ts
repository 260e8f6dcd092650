// The keywords of global_defs, vrrp_script and vrrp_track_process.

import {
  firstWord,
  flag,
  type GlobalDraft,
  type Keyword,
  type Keywords,
  number,
  type ScriptDraft,
} from './draft.ts'

const noMail: Keyword<GlobalDraft> = {
  inert: 'no mail is sent: events are in the log and on the status port',
}
/** About how keepalived itself runs: nothing that others could see. */
const fine: Keyword<GlobalDraft> = {}
const burst: Keyword<GlobalDraft> = {
  inert: 'addresses are announced 5 times at once, 5 times after 5 s and then every minute',
}
const ownUser: Keyword<GlobalDraft> = { inert: 'scripts run as the user of pgherd' }

export const globalKeywords: Keywords<GlobalDraft> = {
  router_id: {
    read: reading => {
      reading.draft.routerName = firstWord(reading, 'a name')?.text
    },
  },
  vrrp_version: number((draft, value) => void Object.assign(draft, { version: value }), 2, 3),
  vrrp_startup_delay: number(
    (draft, value) => {
      draft.startDelayMs = value * 1000
    },
    0,
    3600,
    false,
  ),
  vrrp_mcast_group4: {
    read: reading => {
      reading.draft.group4 = firstWord(reading, 'an address')?.text ?? reading.draft.group4
    },
  },
  vrrp_mcast_group6: {
    read: reading => {
      reading.draft.group6 = firstWord(reading, 'an address')?.text ?? reading.draft.group6
    },
  },
  vrrp_lower_prio_no_advert: flag((draft, isOn) => {
    draft.answersLower = !isOn
  }),
  vrrp_higher_prio_send_advert: flag((draft, isOn) => {
    draft.answersHigher = isOn
  }),
  vrrp_check_unicast_src: flag((draft, isOn) => {
    draft.checksPeer = isOn
  }),
  script_user: ownUser,
  enable_script_security: { inert: 'scripts run as the user of pgherd, who should not be root' },
  notification_email: noMail,
  notification_email_from: noMail,
  smtp_server: noMail,
  smtp_connect_timeout: noMail,
  smtp_helo_name: noMail,
  smtp_alert: noMail,
  smtp_alert_vrrp: noMail,
  vrrp_garp_master_delay: burst,
  vrrp_garp_master_repeat: burst,
  vrrp_garp_master_refresh: burst,
  vrrp_garp_master_refresh_repeat: burst,
  vrrp_garp_lower_prio_delay: burst,
  vrrp_garp_lower_prio_repeat: burst,
  vrrp_garp_interval: burst,
  vrrp_gna_interval: burst,
  vrrp_skip_check_adv_addr: fine,
  vrrp_strict: { inert: 'the stricter rules of the RFC are not applied' },
  vrrp_iptables: fine,
  vrrp_ipsets: fine,
  nftables: fine,
  vrrp_priority: fine,
  vrrp_no_swap: fine,
  vrrp_rt_priority: fine,
  vrrp_rlimit_rttime: fine,
  vrrp_cpu_affinity: fine,
  vrrp_process_name: fine,
  vrrp_notify_fifo: { refused: 'there is no fifo: use notify, whose commands run in order' },
  vrrp_notify_fifo_script: { refused: 'there is no fifo: use notify, whose commands run in order' },
  notify_fifo: { refused: 'there is no fifo: use notify, whose commands run in order' },
  process_names: fine,
  process_name: fine,
  checker_priority: fine,
  checker_no_swap: fine,
  lvs_sync_daemon: { inert: 'there is no LVS: pgherd proxy relays itself' },
  lvs_flush: { inert: 'there is no LVS: pgherd proxy relays itself' },
  enable_dbus: { inert: 'the status port tells the state' },
  enable_snmp_vrrp: { inert: 'the status port tells the state' },
  enable_snmp_checker: { inert: 'the status port tells the state' },
  enable_snmp_rfc: { inert: 'the status port tells the state' },
  enable_traps: { inert: 'the status port tells the state' },
  snmp_socket: { inert: 'the status port tells the state' },
  dynamic_interfaces: fine,
  default_interface: { refused: 'give each vrrp_instance its interface' },
  use_pid_dir: fine,
  no_email_faults: noMail,
  reload_time_file: fine,
  max_auto_priority: fine,
  random_seed: fine,
  umask: fine,
  debug: fine,
}

export const scriptKeywords: Keywords<ScriptDraft> = {
  script: {
    read: reading => {
      const word = firstWord(reading, 'a command in quotes')
      if (word === undefined) return
      const text = word.isQuoted ? word.text : reading.words.map(one => one.text).join(' ')
      reading.draft.script = { ...word, text }
    },
  },
  interval: number(
    (draft, value) => {
      draft.intervalMs = value * 1000
    },
    0.001,
    86_400,
    false,
  ),
  timeout: number(
    (draft, value) => {
      draft.timeoutMs = value * 1000
    },
    0.001,
    86_400,
    false,
  ),
  weight: {
    read: reading => readWeight(reading),
  },
  rise: number((draft, value) => void Object.assign(draft, { rise: value }), 1, 1000),
  fall: number((draft, value) => void Object.assign(draft, { fall: value }), 1, 1000),
  init_fail: {
    read: ({ draft }) => {
      draft.startsFailed = true
    },
  },
  user: { inert: 'scripts run as the user of pgherd' },
}

export const processKeywords: Keywords<ScriptDraft> = {
  process: {
    read: reading => {
      const [name, ...more] = reading.words
      if (name === undefined) reading.remark('error', 'expected the name of a process')
      else reading.draft.process = name.text
      if (more.length > 0) reading.remark('warning', 'parameters of the process are not looked at', more[0])
    },
  },
  weight: { read: reading => readWeight(reading) },
  quorum: { refused: 'one process is enough here' },
  quorum_max: { refused: 'one process is enough here' },
  delay: { refused: 'use a vrrp_script with rise and fall' },
  fork_delay: { inert: 'the process is looked for every second' },
  terminate_delay: { inert: 'the process is looked for every second' },
  full_command: { refused: 'the name alone is compared' },
  param_match: { refused: 'the name alone is compared' },
}

function readWeight(reading: Parameters<NonNullable<Keyword<ScriptDraft>['read']>>[0]): void {
  number<ScriptDraft>(
    (draft, value) => {
      draft.weight = value
    },
    -253,
    253,
  ).read?.(reading)
  if (reading.words[1]?.text === 'reverse') reading.draft.isReversed = true
}
