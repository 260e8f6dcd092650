// Why the proxy ends sessions of a server.

/** Why sessions of a backend are ended by the proxy. */
export const CUT_REASONS = [
  'newer-epoch',
  'evidence-expired',
  'store-restored',
  'proxy-stops',
  'standby-answered',
  'left-pool',
  'shed',
] as const
export type CutReason = (typeof CUT_REASONS)[number]
