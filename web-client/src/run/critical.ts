import type { Step } from '@slipway/client';

/** The chain of steps that the end waited for: what to shorten to be done sooner. */
export function criticalPath(steps: readonly Pick<Step, 'name' | 'needs' | 'finishedAt'>[]): Set<string> {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const end = (name: string) => Date.parse(byName.get(name)?.finishedAt ?? '') || 0;
  const latest = (names: readonly string[]) =>
    names.reduce<string | null>((best, name) => (end(name) > (best === null ? 0 : end(best)) ? name : best), null);
  const path = new Set<string>();
  let at = latest(steps.map(({ name }) => name));
  while (at !== null && !path.has(at)) {
    path.add(at);
    at = latest(byName.get(at)?.needs ?? []);
  }
  return path;
}
