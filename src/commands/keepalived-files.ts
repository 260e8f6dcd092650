// keepalived.conf files on the command line, beside the file of the proxy or of the agent.

import { isKeepalivedFile, loadKeepalived, printRemark } from '../config/keepalived/load.ts'
import { vipsOf } from '../config/keepalived/vips.ts'
import type { VipConfig } from '../config/vip/types.ts'

export interface SortedFiles {
  readonly keepalived: readonly string[]
  readonly others: readonly string[]
}

/** Tells the keepalived.conf files apart by what is in them. Throws UserError for a file that cannot be read. */
export async function sortFiles(files: readonly string[]): Promise<SortedFiles> {
  const keepalived: string[] = []
  const others: string[] = []
  for (const file of files) {
    if (await isKeepalivedFile(file)) keepalived.push(file)
    else others.push(file)
  }
  return { keepalived, others }
}

export interface KeepalivedVips {
  /** What was configured already and the instances of the files. */
  readonly vips: readonly VipConfig[]
  /** One line each. */
  readonly warnings: readonly string[]
}

/** Adds the instances of the files to virtual IPs from elsewhere. Throws UserError with all that is wrong in a file. */
export async function addKeepalivedVips(
  configured: readonly VipConfig[],
  files: readonly string[],
  options: { readonly lenient: boolean; readonly selfNames: readonly string[] },
): Promise<KeepalivedVips> {
  const vips = [...configured]
  const warnings: string[] = []
  for (const file of files) {
    const { config, remarks } = await loadKeepalived(file, options)
    vips.push(...vipsOf(config, new Set(vips.map(({ name }) => name))))
    warnings.push(...remarks.map(remark => printRemark(file, remark)))
  }
  return { vips, warnings }
}
