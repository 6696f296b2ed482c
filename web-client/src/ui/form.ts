import { isClientError } from '@slipway/client';
import { useEffect, useRef } from 'react';

import { explain } from '../api/errors';
import { useText } from '../text';

/**
 * What the server found wrong with which field of a form. The first of them is gone to; what is about none of `fields` is
 * to be said below the form, as a `Problem`.
 */
export function useFormProblems(error: unknown, fields: readonly string[]) {
  const text = useText();
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (error !== null && !focusFirstWrong(form.current)) form.current?.querySelector('[role=alert]')?.scrollIntoView({ block: 'nearest' });
  }, [error]);
  const found = new Map<string, string>();
  if (isClientError(error)) {
    // `branches[2]` is said at `branches`.
    for (const { field, message } of error.data?.problems ?? []) found.set(field.replace(/\W.*$/, ''), message);
    const { field, words } = explain(error, text);
    if (field !== null && found.size === 0) found.set(field.replace(/\W.*$/, ''), words);
  }
  const isOther = error !== null && ![...found.keys()].some((field) => fields.includes(field));
  return { form, of: (field: string) => found.get(field) ?? null, other: isOther ? error : null };
}

/** Once what is wrong is marked; whether anything is. */
export function focusFirstWrong(form: HTMLFormElement | null): boolean {
  const field = form?.querySelector<HTMLElement>('[aria-invalid=true]');
  field?.focus();
  return field instanceof HTMLElement;
}
