// Users of a test's etcd: root with a password, authentication on, a password changed.

import assert from 'node:assert/strict'

/** Runs etcdctl with these words. */
export type EtcdCtl = (...words: readonly string[]) => Promise<string>

/** root with this password may do everything, and etcd asks for it from now on. */
export async function switchAuthOn(ctl: EtcdCtl, password: string): Promise<void> {
  await ctl('user', 'add', `root:${password}`)
  await ctl('user', 'grant-role', 'root', 'root')
  await ctl('auth', 'enable')
}

/** etcdctl reads a new password only from a terminal; the API takes it as it is. */
export async function changePassword(endpoint: string, old: string, password: string): Promise<void> {
  const post = async (where: string, body: object, headers: Readonly<Record<string, string>> = {}) => {
    const request = { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await fetch(`http://${endpoint}/v3/auth/${where}`, request)
    assert.equal(response.status, 200, `${where}: ${response.status}`)
    return (await response.json()) as { readonly token?: string }
  }
  const { token = '' } = await post('authenticate', { name: 'root', password: old })
  await post('user/changepw', { name: 'root', password }, { authorization: token })
}
