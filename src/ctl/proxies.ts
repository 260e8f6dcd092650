// The proxies that registered themselves in etcd, and what each says of itself.

import { asText, type JsonObject, parseJsonObject } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { CtlContext, RestAnswer } from './context.ts'
import { callMember } from './member-call.ts'

export interface ProxyStatus extends KnownProxy {
  /** Its own document; undefined when it does not answer. */
  readonly status: JsonObject | undefined
}

const ASK_MS = 1_500
const PROXIES_MAX = 20

/** A proxy by its own registration, or by the address that was given. */
export interface KnownProxy {
  readonly name: string
  /** Where its status port is, as far as it can be told. */
  readonly admin: string
}

/** All that are registered, by name; each is asked once. */
export async function proxiesOf(context: CtlContext, view: ClusterView): Promise<readonly ProxyStatus[]> {
  const asked = registeredIn(view).map(async proxy => {
    const { code, text } = await askProxy(context, proxy, 'status')
    return { ...proxy, status: code === 200 ? parseJsonObject(text) : undefined }
  })
  return Promise.all(asked)
}

/** The proxies that registered themselves, by name. Pure. */
export function registeredIn(view: ClusterView): readonly KnownProxy[] {
  return [...view.own]
    .filter(([key]) => key.startsWith('proxies/'))
    .map(([, { value }]) => parseJsonObject(value))
    .flatMap(value => (value === undefined ? [] : [value]))
    .slice(0, PROXIES_MAX)
    .map(value => {
      const name = asText(value['name']) ?? 'proxy'
      return { name, admin: reachable(asText(value['admin']) ?? '', name) }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Asks one proxy's status port; no answer in time is the code 0. */
export async function askProxy(
  context: CtlContext,
  { name, admin }: KnownProxy,
  endpoint: string,
): Promise<RestAnswer> {
  const apiUrl = `http://${admin}/`
  if (!URL.canParse(apiUrl)) return { code: 0, text: 'it tells no address of its status port' }
  return callMember(context, { name, apiUrl }, 'GET', endpoint, undefined, ASK_MS)
}

/** A proxy that listens everywhere is asked by its name, which is its host's unless the file says otherwise. */
function reachable(bind: string, name: string): string {
  return bind.replace(/^(\*|0\.0\.0\.0|\[::\])?:/, `${name}:`)
}
