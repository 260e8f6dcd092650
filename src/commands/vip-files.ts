// The virtual IPs of a file, whatever kind of file it is.

import { readFile } from 'node:fs/promises'
import { loadLocalConfig } from '../config/agent/local.ts'
import { loadProxyConfig } from '../config/proxy/load.ts'
import type { VipConfig } from '../config/vip/types.ts'
import { messageOf, UserError } from '../platform/errors.ts'
import { kindOfText } from './check.ts'
import { addKeepalivedVips } from './keepalived-files.ts'

export interface VipFile {
  readonly vips: readonly VipConfig[]
  /** The cluster's name, where the file has one. */
  readonly scope: string | undefined
}

/** Throws UserError for a file that cannot be read or has mistakes. */
export async function readVipFile(file: string): Promise<VipFile> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`${file}: cannot be read: ${messageOf(error)}`)
  })
  const kind = kindOfText(text, file)
  if (kind === 'haproxy') return { vips: [], scope: undefined }
  if (kind === 'keepalived') {
    const { vips } = await addKeepalivedVips([], [file], { lenient: true, selfNames: [] })
    return { vips, scope: undefined }
  }
  return kind === 'proxy' ? await loadProxyConfig(file) : await loadLocalConfig(file, process.env)
}
