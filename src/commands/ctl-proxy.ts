// `ctl proxy` and what stands behind it: words and options. What they do is in src/ctl.

import { type Command, Option } from 'commander'
import { type Format, formats } from '../ctl/formats.ts'
import { proxies } from '../ctl/proxy.ts'
import {
  type ProxyChoice,
  proxyEvidence,
  proxyExplain,
  proxyPools,
  proxySessions,
} from '../ctl/proxy-looks.ts'
import { type ContextNeeds, withContext } from './ctl-context.ts'

interface ProxyFlags {
  readonly format: Format
  readonly proxy?: string
  readonly at?: string
}

/** Adds the overview, and a closer look at what each proxy knows. */
export function addProxy(ctl: Command): void {
  const proxy = ctl
    .command('proxy')
    .description('the proxies of a cluster, and who owns its virtual addresses')
    .argument('[cluster]', 'default: the configured scope')
    .addOption(formatOption())
    .action((name: string | undefined, { format }: ProxyFlags) =>
      withContext(ctl, context => proxies(context, name, format)),
    )
  addLook(ctl, proxy, 'sessions', 'the sessions that live now', proxySessions)
  addLook(ctl, proxy, 'pools', 'which servers take new sessions, and why', proxyPools)
  addLook(ctl, proxy, 'evidence', 'what is known of each server, and how long it counts', proxyEvidence)
  withChoice(
    proxy
      .command('explain')
      .description('everything that speaks for or against one server')
      .argument('<backend>', 'its name'),
  ).action((backend: string, cluster: string | undefined, flags: ProxyFlags) =>
    withContext(
      ctl,
      context => proxyExplain(context, backend, choiceOf(cluster, flags), flags.format),
      needsOf(flags),
    ),
  )
}

function addLook(ctl: Command, proxy: Command, word: string, says: string, look: typeof proxySessions): void {
  withChoice(proxy.command(word).description(says)).action((cluster: string | undefined, flags: ProxyFlags) =>
    withContext(ctl, context => look(context, choiceOf(cluster, flags), flags.format), needsOf(flags)),
  )
}

function needsOf({ at }: ProxyFlags): ContextNeeds {
  return { isStoreless: at !== undefined }
}

function withChoice(command: Command): Command {
  return command
    .argument('[cluster]', 'default: the configured scope')
    .option('-p, --proxy <name>', 'only this proxy')
    .option('--at <host:port>', 'the status port of one proxy; etcd is then not asked')
    .addOption(formatOption())
}

function choiceOf(cluster: string | undefined, { proxy, at }: ProxyFlags): ProxyChoice {
  return { cluster, proxy, at }
}

function formatOption(): Option {
  return new Option('-f, --format <format>', 'of the output').choices(formats).default('pretty')
}
