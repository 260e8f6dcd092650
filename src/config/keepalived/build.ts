// From the draft of a keepalived.conf to typed instances and checks, with the traps that such files have.

import { isIPv6 } from 'node:net'
import { understandCheck } from './check-command.ts'
import type { AddressDraft, FileDraft, InstanceDraft, ScriptDraft } from './draft.ts'
import type { Remark, Word } from './tokens.ts'
import type {
  KeepalivedAddress,
  KeepalivedCheck,
  KeepalivedConfig,
  TrackedCheck,
  VrrpInstanceConfig,
} from './types.ts'

const V3_ADVERT_MS_MAX = 40_950
const PASSWORD_BYTES = 8
const OWNER = 255

export interface BuildOptions {
  /** Name of the file, for people. */
  readonly file: string
  /** Processes that this one stands for: `haproxy` for a proxy. */
  readonly selfNames: readonly string[]
}

export interface BuiltFile {
  readonly config: KeepalivedConfig
  readonly remarks: readonly Remark[]
}

/** Builds the configuration; what stands in its way is among the remarks. */
export function buildKeepalived(draft: FileDraft, options: BuildOptions): BuiltFile {
  const builder = new Builder(draft, options)
  const config = builder.build()
  return { config, remarks: builder.remarks }
}

class Builder {
  readonly remarks: Remark[] = []
  readonly #draft: FileDraft
  readonly #options: BuildOptions

  constructor(draft: FileDraft, options: BuildOptions) {
    this.#draft = draft
    this.#options = options
  }

  build(): KeepalivedConfig {
    const { global, scripts, instances } = this.#draft
    if (instances.length === 0) {
      const top: Word = { text: 'vrrp_instance', line: 1, column: 1, isQuoted: false }
      this.#tell('error', top, 'there is no vrrp_instance in this file')
    }
    this.#refuseSameRouter()
    const used = new Set(instances.flatMap(({ checks }) => checks.map(({ check }) => check)))
    for (const { name, word } of scripts) {
      if (!used.has(name)) this.#tell('trap', word, 'is tracked by no instance: it changes nothing')
    }
    const checks = scripts.filter(({ name }) => used.has(name)).map(script => this.#check(script))
    return {
      file: this.#options.file,
      routerName: global.routerName,
      startDelayMs: global.startDelayMs,
      instances: instances.map(instance => this.#instance(instance)),
      checks: new Map(checks.map(check => [check.name, check])),
    }
  }

  #check(script: ScriptDraft): KeepalivedCheck {
    const { name, word, intervalMs, timeoutMs = intervalMs, rise, fall, startsFailed } = script
    const common = { name, line: word.line, intervalMs, timeoutMs, rise, fall, startsFailed }
    if (script.process !== undefined) {
      const isSelf = this.#options.selfNames.includes(script.process)
      const question = { kind: 'process', name: script.process, isPart: false, isSelf } as const
      return { ...common, text: script.process, question }
    }
    if (script.script === undefined) {
      this.#tell('error', word, 'a script is missing')
      return { ...common, text: '', question: { kind: 'command', words: ['false'] } }
    }
    const { text } = script.script
    const { question, says, isTrap } = understandCheck(text, this.#options.selfNames)
    if (says !== undefined) {
      const trap =
        isTrap && /[|<>;&`]/.test(text)
          ? '; keepalived 2 runs it without a shell and gets nothing from it'
          : ''
      this.#tell(isTrap ? 'trap' : 'warning', script.script, `${says}${trap}`, `script of ${name}`)
    }
    return { ...common, text, question }
  }

  #instance(draft: InstanceDraft): VrrpInstanceConfig {
    const { global } = this.#draft
    const family = draft.isV6 || isIPv6(draft.addresses[0]?.address ?? '') ? 6 : 4
    const version = family === 6 ? 3 : (draft.version ?? global.version)
    this.#refuseMissing(draft)
    this.#addressTraps(draft, family)
    this.#priorityTraps(draft)
    const ownFamily = ({ address }: AddressDraft) => isIPv6(address) === (family === 6)
    const place = (address: AddressDraft) => placeOf(address, draft.interfaceName ?? '')
    return {
      name: draft.name,
      line: draft.word.line,
      interfaceName: draft.interfaceName ?? '',
      family,
      version,
      routerId: Number(draft.routerId?.text ?? 0),
      priority: draft.priority,
      startsAs: draft.startsAs,
      advertMs: this.#advertMs(draft, version),
      missingAdverts: draft.missingAdverts,
      preempts: this.#preempts(draft),
      preemptDelayMs: draft.preemptDelayMs,
      password: this.#password(draft, version),
      sourceAddress: draft.source,
      group: family === 4 ? global.group4 : global.group6,
      peers: draft.peers,
      checksPeer: draft.checksPeer ?? global.checksPeer,
      addresses: draft.addresses.filter(ownFamily).map(place),
      excluded: [...draft.addresses.filter(address => !ownFamily(address)), ...draft.excluded].map(place),
      answersLower: draft.answersLower ?? global.answersLower,
      answersHigher: draft.answersHigher ?? global.answersHigher,
      sumsMessageOnly: draft.sumsMessageOnly,
      followsOwnLink: draft.followsOwnLink,
      trackedChecks: this.#trackedChecks(draft),
      trackedInterfaces: draft.interfaces,
      notify: draft.notify,
    }
  }

  #refuseMissing(draft: InstanceDraft): void {
    const { word, interfaceName, routerId, addresses, peers } = draft
    if (interfaceName === undefined) this.#tell('error', word, 'an interface is missing')
    if (routerId === undefined) this.#tell('error', word, 'a virtual_router_id is missing')
    if (addresses.length === 0) this.#tell('error', word, 'a virtual_ipaddress is missing')
    if (peers?.length === 0) this.#tell('error', word, 'unicast_peer names nobody')
    // An advert is one packet: more addresses than this do not fit.
    if (addresses.length > 20) {
      this.#tell(
        'error',
        word,
        `${addresses.length} addresses do not fit an advert: put some into virtual_ipaddress_excluded`,
      )
    }
  }

  /** Two instances of one id on one network hear each other's adverts. */
  #refuseSameRouter(): void {
    const seen = new Set<string>()
    for (const { interfaceName, routerId, addresses } of this.#draft.instances) {
      if (routerId === undefined) continue
      const key = `${interfaceName} ${Number(routerId.text)} ${isIPv6(addresses[0]?.address ?? '')}`
      if (seen.has(key)) {
        this.#tell('error', routerId, `another instance on ${interfaceName} has this id`, 'virtual_router_id')
      }
      seen.add(key)
    }
  }

  #addressTraps({ addresses }: InstanceDraft, family: 4 | 6): void {
    for (const { word, address } of addresses) {
      if (isIPv6(address) !== (family === 6)) {
        this.#tell('warning', word, 'is of another family than the first: held, but not told in adverts')
      }
    }
  }

  #advertMs({ advertMs = 1000, advertWord, word }: InstanceDraft, version: 2 | 3): number {
    const at = advertWord ?? word
    if (version === 2 && advertMs % 1000 !== 0) {
      this.#tell('error', at, 'version 2 counts whole seconds: write `version 3` for less', 'advert_int')
    } else if (version === 3 && (advertMs > V3_ADVERT_MS_MAX || advertMs % 10 !== 0)) {
      this.#tell('error', at, 'version 3 counts hundredths of a second, up to 40.95', 'advert_int')
    }
    return advertMs
  }

  #preempts({ preempts, noPreemptWord, startsAs, preemptDelayMs }: InstanceDraft): boolean {
    if (noPreemptWord === undefined) return preempts
    if (startsAs === 'master') {
      this.#tell(
        'trap',
        noPreemptWord,
        'counts only with state BACKUP: this instance preempts, as with keepalived',
      )
      return true
    }
    if (preemptDelayMs > 0) this.#tell('warning', noPreemptWord, 'preempt_delay has no effect beside it')
    return preempts
  }

  #password({ authType, password, authWord }: InstanceDraft, version: 2 | 3): string | undefined {
    if (authWord === undefined || authType === undefined) return undefined
    if (version === 3) {
      this.#tell('trap', authWord, 'has no effect: version 3 knows no authentication')
      return undefined
    }
    if (authType.toUpperCase() !== 'PASS') {
      this.#tell('unknown', authWord, `auth_type ${authType}: expected PASS`)
      return undefined
    }
    if (password === undefined) {
      this.#tell('error', authWord, 'auth_pass is missing')
      return undefined
    }
    const bytes = Buffer.from(password, 'utf8')
    const cut = bytes.length > PASSWORD_BYTES ? `, and of auth_pass only ${PASSWORD_BYTES} bytes count` : ''
    this.#tell(
      'trap',
      authWord,
      `goes over the network in clear text: it keeps out mistakes, nobody else${cut}`,
    )
    return bytes.toString('latin1', 0, PASSWORD_BYTES)
  }

  #trackedChecks(draft: InstanceDraft): readonly TrackedCheck[] {
    return draft.checks.flatMap(({ check, weight, isReversed, word }) => {
      const script = this.#draft.scripts.find(({ name }) => name === check)
      if (script === undefined) {
        this.#tell('error', word, 'there is no vrrp_script of this name', `track_script ${check}`)
        return []
      }
      return [{ check, weight: weight ?? script.weight, isReversed: isReversed || script.isReversed }]
    })
  }

  #priorityTraps({ word, priority, checks, startsAs }: InstanceDraft): void {
    const tracked = checks.map(({ check, weight, isReversed }) => {
      const script = this.#draft.scripts.find(({ name }) => name === check)
      const own = weight ?? script?.weight ?? 0
      return { own, added: isReversed || script?.isReversed === true ? -own : own }
    })
    const weights = tracked.map(({ own }) => own)
    if (priority === OWNER && weights.some(weight => weight !== 0)) {
      this.#tell('trap', word, 'priority 255 is never changed by checks: their weights have no effect')
    }
    if (weights.length > 0 && weights.every(weight => weight > 0)) {
      const says = `with every check failing this host still becomes master at priority ${priority} when no other one is left: a check of weight 0 keeps it out`
      this.#tell('trap', word, says)
    }
    const highest = tracked.reduce((sum, { added }) => sum + Math.max(added, 0), priority)
    if (priority !== OWNER && highest > OWNER - 1) {
      this.#tell('trap', word, `priority and weights add up to ${highest}: more than 254 counts as 254`)
    }
    if (startsAs === 'master' && priority !== OWNER) {
      this.#tell('warning', word, 'state MASTER only shortens the first wait: the priority decides')
    }
  }

  #tell(severity: Remark['severity'], { line, column, text }: Word, says: string, about = text): void {
    this.remarks.push({ line, column, about, says, severity })
  }
}

function placeOf(
  { address, prefixLength, dev, label }: AddressDraft,
  interfaceName: string,
): KeepalivedAddress {
  return {
    address,
    prefixLength: prefixLength ?? (isIPv6(address) ? 128 : 32),
    interfaceName: dev ?? interfaceName,
    label,
  }
}
