// The proxies that registered themselves in etcd, and what each says of itself.

import { asText, type JsonObject, parseJsonObject } from '../cluster/json.ts'
import type { ClusterView } from '../cluster/view.ts'
import type { CtlContext } from './context.ts'
import { callMember } from './member-call.ts'

export interface ProxyStatus {
  readonly name: string
  /** Where its status page is, as far as it can be told. */
  readonly admin: string
  /** Its own document; undefined when it does not answer. */
  readonly status: JsonObject | undefined
}

const ASK_MS = 1_500
const PROXIES_MAX = 20

/** All that are registered, by name; each is asked once. */
export async function proxiesOf(context: CtlContext, view: ClusterView): Promise<readonly ProxyStatus[]> {
  const registered = [...view.own]
    .filter(([key]) => key.startsWith('proxies/'))
    .map(([, { value }]) => parseJsonObject(value))
    .flatMap(value => (value === undefined ? [] : [value]))
    .slice(0, PROXIES_MAX)
  const asked = registered.map(async value => {
    const name = asText(value['name']) ?? 'proxy'
    const admin = reachable(asText(value['admin']) ?? '', name)
    const apiUrl = `http://${admin}/`
    const { code, text } = URL.canParse(apiUrl)
      ? await callMember(context, { name, apiUrl }, 'GET', 'status', undefined, ASK_MS)
      : { code: 0, text: '' }
    return { name, admin, status: code === 200 ? parseJsonObject(text) : undefined }
  })
  return (await Promise.all(asked)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** A proxy that listens everywhere is asked by its name, which is its host's unless the file says otherwise. */
function reachable(bind: string, name: string): string {
  return bind.replace(/^(\*|0\.0\.0\.0|\[::\])?:/, `${name}:`)
}
