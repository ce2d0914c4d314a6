/**
 * How long to wait before the next try, in ms: what the gateway asks for, else full jitter over 1 s x 2^n <=
 * 60 s, where n is how often it failed before the last time.
 */
export const retryDelay = (failures: number, asked: string | number | null | undefined, chance: number) =>
  +asked! * 1e3 || chance * Math.min(6e4, 500 * 2 ** failures);
